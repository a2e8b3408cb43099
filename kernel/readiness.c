// SPDX-License-Identifier: GPL-2.0
/*
 * Readiness: how files tell a channel that something can be tried again.
 *
 * Our entries stay in a file's wait queues from the first operation that would
 * have blocked to the handle's end; an lwsocket has one in its own queue for
 * ever. So no wake-up falls between trying and waiting, if those who wait look
 * at what was seen meanwhile: see mp_look_at().
 */

#include "channel.h"

/*
 * Wakes the owner when as many are ready as it waits for. Whoever makes the
 * number equal does it: the owner looks at the number after it has told what it
 * waits for.
 */
void mp_ready(struct mp_handle *h)
{
	struct mp_channel *ch = h->ch;

	if (test_and_set_bit(0, &h->queued))
		return;
	llist_add(&h->ready, &ch->ready);
	if (atomic_inc_return(&ch->nready) == READ_ONCE(ch->wake_at))
		wake_up_process(ch->task);
}

/* The queue is about to be freed; see the comment at POLLFREE's definition. */
static void mp_queue_goes(struct mp_wait *wait)
{
	list_del_init(&wait->entry.entry);
	/* after this, mp_wait_remove() doesn't touch the queue */
	smp_store_release(&wait->head, NULL);
}

static int mp_wake(wait_queue_entry_t *entry, unsigned int mode, int sync,
		   void *key)
{
	struct mp_wait *wait = container_of(entry, struct mp_wait, entry);
	struct mp_handle *h = wait->handle;
	__poll_t told = key_to_poll(key);
	/* some tell nothing, and mean that anything can be */
	unsigned int events = told ? (__force unsigned int)told : ~0U;

	/* with what mp_handle_init() has prepared */
	if (smp_load_acquire(&h->hears)) {
		atomic_or(events, &h->seen);
		/* against mp_want(): it sees this, or we its want */
		smp_mb__after_atomic();
		if (READ_ONCE(h->wanted) & events)
			mp_ready(h);
	}
	if (told & POLLFREE)
		mp_queue_goes(wait);
	return 0;
}

void mp_wait_init(struct mp_wait *wait, struct mp_handle *h)
{
	init_waitqueue_func_entry(&wait->entry, mp_wake);
	wait->head = NULL;
	wait->handle = h;
}

void mp_wait_add(struct mp_wait *wait, struct wait_queue_head *head)
{
	wait->head = head;
	add_wait_queue(head, &wait->entry);
}

static void mp_wait_remove(struct mp_wait *wait)
{
	struct wait_queue_head *head;

	rcu_read_lock();
	/* against mp_queue_goes() */
	head = smp_load_acquire(&wait->head);
	if (head)
		remove_wait_queue(head, &wait->entry);
	rcu_read_unlock();
	wait->head = NULL;
}

struct mp_poll_table {
	poll_table table;
	struct mp_handle *h;
	int nqueues;
};

static void mp_add_to_queue(struct file *file, struct wait_queue_head *head,
			    poll_table *table)
{
	struct mp_poll_table *t =
		container_of(table, struct mp_poll_table, table);

	if (t->nqueues < MP_WAITS)
		mp_wait_add(&t->h->waits[t->nqueues], head);
	t->nqueues++;
}

/* Also tells what is ready now. */
int mp_attach(struct mp_handle *h, __poll_t *events)
{
	struct mp_poll_table t = { .h = h };

	init_poll_funcptr(&t.table, mp_add_to_queue);
	*events = vfs_poll(h->file, &t.table);
	/* A file with more queues could be ready and we don't hear of it. */
	if (t.nqueues > MP_WAITS) {
		mp_detach(h);
		return -EOPNOTSUPP;
	}
	h->is_attached = true;
	return 0;
}

/* No wake-up gets to the handle after this. */
void mp_detach(struct mp_handle *h)
{
	for (int i = 0; i < MP_WAITS; i++)
		if (h->waits[i].head)
			mp_wait_remove(&h->waits[i]);
}

/* What is ready; some files put us into another queue on the way. */
__poll_t mp_poll(struct mp_handle *h)
{
	struct socket *sock = h->sock;

	if (h->file)
		return vfs_poll(h->file, NULL);
	return READ_ONCE(sock->ops)->poll(NULL, sock, NULL);
}
