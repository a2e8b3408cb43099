// SPDX-License-Identifier: GPL-2.0
/*
 * Handles: their numbers, how files come to a channel and leave it.
 */
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/stat.h>

#include "channel.h"

#define MP_PLACES_FIRST 512

static struct kmem_cache *mp_handle_cache;

/* ------------------------------------------------------------- numbers */

void mp_table_init(struct mp_table *table, u32 max, u32 bits)
{
	table->max = max;
	table->bits = bits;
}

void mp_table_free(struct mp_table *table)
{
	kvfree(table->places);
	table->places = NULL;
	table->size = 0;
	table->free = 0;
}

/*
 * What a channel keeps counts as if it were open: not more than the process may
 * have of it, as with io_uring's registered files.
 */
static int mp_table_grow(struct mp_table *table)
{
	u32 size = table->size ? 2 * table->size : MP_PLACES_FIRST;
	struct mp_place *places;

	if (table->size >= table->max)
		return -ENFILE;
	size = min3((unsigned long)size, (unsigned long)table->max,
		    rlimit(RLIMIT_NOFILE));
	if (size <= table->size)
		return -EMFILE;
	places = kvcalloc(size, sizeof(*places), GFP_KERNEL_ACCOUNT);
	if (!places)
		return -ENOMEM;
	if (table->size)
		memcpy(places, table->places, table->size * sizeof(*places));
	for (u32 i = table->size; i < size; i++)
		places[i].next_free = i + 1;
	kvfree(table->places);
	table->places = places;
	table->free = table->size;
	table->size = size;
	table->last_free = size - 1;
	return 0;
}

int mp_table_add(struct mp_table *table, struct mp_handle *h)
{
	struct mp_place *place;
	u32 at;

	if (table->free == table->size) {
		int ret = mp_table_grow(table);

		if (ret)
			return ret;
	}
	at = table->free;
	place = &table->places[at];
	table->free = place->next_free;
	table->used++;
	place->handle = h;
	h->number = at | table->bits |
		    place->generation << MEGAPIPE_GENERATION_SHIFT;
	return 0;
}

void mp_table_remove(struct mp_table *table, struct mp_handle *h)
{
	u32 at = h->number & MEGAPIPE_PLACE_MASK;
	struct mp_place *place = &table->places[at];

	place->handle = NULL;
	place->generation++;
	/* behind all others: its numbers are to come back late */
	place->next_free = table->size;
	if (table->free == table->size)
		table->free = at;
	else
		table->places[table->last_free].next_free = at;
	table->last_free = at;
	table->used--;
}

/* ------------------------------------------------------------ beginning */

/* All but waits[0].entry, which an lwsocket has from its constructor. */
void mp_handle_init(struct mp_handle *h, struct mp_channel *ch)
{
	h->queued = 0;
	atomic_set(&h->seen, 0);
	h->wanted = 0;
	INIT_LIST_HEAD(&h->todo);
	h->sock = NULL;
	h->file = NULL;
	h->cookie = 0;
	h->kind = MEGAPIPE_KIND_STREAM;
	h->busy = 0;
	h->is_attached = false;
	h->is_closing = false;
	h->is_closed = false;
	h->is_dead = false;
	h->has_descriptor = false;
	h->fd = -1;
	h->error = 0;
	memset(h->lanes, 0, sizeof(h->lanes));
	h->ch = ch;
	/* a late wake-up of the last connection may come at once */
	smp_store_release(&h->hears, true);
}

/*
 * Files that are always ready, and may block all the same. A regular file's
 * inode alone doesn't tell: newer kernels' pidfds have one, too, but nothing to
 * be read.
 */
static bool mp_is_on_disk(const struct file *file)
{
	umode_t mode = file_inode(file)->i_mode;

	if (S_ISDIR(mode) || S_ISBLK(mode))
		return true;
	return S_ISREG(mode) && (file->f_op->read || file->f_op->read_iter);
}

static int mp_kind(const struct file *file, const struct socket *sock)
{
	if (sock)
		return sock->type == SOCK_STREAM ? MEGAPIPE_KIND_STREAM :
						   MEGAPIPE_KIND_MESSAGES;
	if (mp_is_on_disk(file) || !file->f_op->poll)
		return -EPERM;
	return MEGAPIPE_KIND_POLLABLE;
}

static int mp_open_handle(struct mp_handle *h, struct file *file)
{
	int kind;

	if (file->f_op == &mp_device_fops)
		return -ELOOP;
	h->sock = sock_from_file(file);
	kind = mp_kind(file, h->sock);
	if (kind < 0)
		return kind;
	h->kind = kind;
	h->file = file;
	if (kind != MEGAPIPE_KIND_POLLABLE)
		return 0;
	spin_lock(&file->f_lock);
	file->f_flags |= O_NONBLOCK;
	spin_unlock(&file->f_lock);
	return 0;
}

int mp_register(struct mp_channel *ch, struct megapipe_register *reg)
{
	struct mp_handle *h;
	struct file *file;
	int ret;

	if (reg->flags || reg->handle || reg->kind)
		return -EINVAL;
	file = fget(reg->fd);
	if (!file)
		return -EBADF;
	h = kmem_cache_zalloc(mp_handle_cache, GFP_KERNEL_ACCOUNT);
	if (!h) {
		fput(file);
		return -ENOMEM;
	}
	mp_handle_init(h, ch);
	for (int i = 0; i < MP_WAITS; i++)
		mp_wait_init(&h->waits[i], h);
	ret = mp_open_handle(h, file);
	if (!ret)
		ret = mp_table_add(&ch->files_table, h);
	if (ret) {
		kmem_cache_free(mp_handle_cache, h);
		fput(file);
		return ret;
	}
	h->cookie = reg->cookie;
	reg->handle = h->number;
	reg->kind = h->kind;
	return 0;
}

/* --------------------------------------------------------------- ending */

static bool mp_is_lwsocket(const struct mp_handle *h)
{
	return !(h->number & MEGAPIPE_HANDLE_FILE);
}

/* Ended, and off the ready list. */
void mp_handle_free(struct mp_channel *ch, struct mp_handle *h)
{
	if (mp_is_lwsocket(h))
		mp_lwsocket_put(ch, h);
	else
		kmem_cache_free(mp_handle_cache, h);
}

/*
 * The descriptor, if it is still that of our file: another thread may have
 * closed or replaced it, and may do so now.
 */
static int mp_close_fd(const struct mp_handle *h)
{
	struct files_struct *files = current->files;
	bool is_ours;

	if (h->fd < 0)
		return 0;
	spin_lock(&files->file_lock);
	is_ours = files_lookup_fd_locked(files, h->fd) == h->file;
	if (is_ours)
		rcu_assign_pointer(files_fdtable(files)->fd[h->fd], NULL);
	spin_unlock(&files->file_lock);
	if (!is_ours)
		return -EBADF;
	put_unused_fd(h->fd);
	return filp_close(h->file, files);
}

/* The file is the process's again, or gone; the number isn't free yet. */
void mp_handle_let_go(struct mp_handle *h)
{
	if (h->is_closed)
		return;
	h->is_closed = true;
	mp_detach(h);
	h->close_result = mp_close_fd(h);
	if (mp_is_lwsocket(h))
		mp_lwsocket_close(h);
	else
		fput(h->file);
	h->sock = NULL;
	h->file = NULL;
}

/* Nothing comes of the handle any more. */
void mp_handle_end(struct mp_handle *h)
{
	struct mp_channel *ch = h->ch;

	list_del_init(&h->todo);
	mp_handle_let_go(h);
	mp_table_remove(mp_is_lwsocket(h) ? &ch->lwsockets : &ch->files_table,
			h);
	h->is_dead = true;
	if (!test_bit(0, &h->queued))
		mp_handle_free(ch, h);
}

int mp_handles_init(void)
{
	mp_handle_cache = kmem_cache_create("megapipe_handle",
					    sizeof(struct mp_handle), 0,
					    SLAB_ACCOUNT, NULL);
	return mp_handle_cache ? 0 : -ENOMEM;
}

void mp_handles_exit(void)
{
	kmem_cache_destroy(mp_handle_cache);
}
