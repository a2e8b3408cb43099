// SPDX-License-Identifier: MIT
/*
 * Channels: options, engines by name, memory of operations and handles,
 * events and their dispatch, statistics.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "engine.h"

#define OPS_A_CHUNK 64
#define HANDLES_A_CHUNK 64
#define HANDLES_LEFT 128

/* In the order in which "auto" tries them. */
static const struct mp__engine *const engines[] = {
	&mp__engine_kernel,
	&mp__engine_uring,
	&mp__engine_epoll,
};

#define NENGINES (sizeof(engines) / sizeof(engines[0]))

/*
 * What mp_options and mp_stats had in version 0.2, the first with a size. A
 * member that is added later begins there or behind, not in the padding.
 */
#define END_OF(type, member) \
	(offsetof(type, member) + sizeof(((type *)0)->member))
#define UP_TO(size, align) (((size) / (align) + !!((size) % (align))) * (align))
#define OPTIONS_SIZE_0_2 \
	UP_TO(END_OF(struct mp_options, accept_peer), _Alignof(void *))
#define STATS_SIZE_0_2 offsetof(struct mp_stats, accepts_stolen)
_Static_assert(offsetof(struct mp_options, steal_us) >= OPTIONS_SIZE_0_2,
	       "steal_us is in what was padding");

struct chunk {
	struct chunk *next;
	MP__TAGGED char objects[];
};

/* -------------------------------------------------------------- memory */

/* Zeroed; for free(). */
void *mp__tagged_new(size_t size)
{
	size_t whole = (size + MP__TAGGED_ALIGN - 1) / MP__TAGGED_ALIGN *
		       MP__TAGGED_ALIGN;
	void *memory = aligned_alloc(MP__TAGGED_ALIGN, whole);

	return memory ? memset(memory, 0, whole) : NULL;
}

static void *chunk_new(struct mp_channel *ch, size_t size)
{
	struct chunk *chunk = mp__tagged_new(sizeof(*chunk) + size);

	if (!chunk)
		return NULL;
	chunk->next = ch->chunks;
	ch->chunks = chunk;
	return chunk->objects;
}

MP__RARELY bool mp__ops_grow(struct mp_channel *ch)
{
	struct mp__op *op = chunk_new(ch, OPS_A_CHUNK * sizeof(*op));

	for (int i = OPS_A_CHUNK - 1; op && i >= 0; i--)
		SLIST_INSERT_HEAD(&ch->free_ops, &op[i], free_link);
	if (op)
		MP__POISON(op, OPS_A_CHUNK * sizeof(*op));
	return op;
}

MP__RARELY void mp__op_free_heap(struct mp__op *op)
{
	free(op->iov_heap);
	op->iov_heap = NULL;
}

static void poison_handle(struct mp_handle *handle)
{
	size_t known = offsetof(struct mp_handle, cookie);

	MP__POISON((char *)handle + known, sizeof(*handle) - known);
}

/*
 * Handles are never given back to malloc: a stale one is found out, until it is
 * another's. That it isn't for the next so many, which stay few enough for the
 * cache.
 */
struct mp_handle *mp__handle_new(struct mp_channel *ch)
{
	struct mp_handle *handle = STAILQ_FIRST(&ch->free_handles);

	if (!handle) {
		handle = chunk_new(ch, HANDLES_A_CHUNK * sizeof(*handle));
		if (!handle)
			return NULL;
		for (int i = HANDLES_A_CHUNK - 1; i >= 0; i--) {
			STAILQ_INSERT_HEAD(&ch->free_handles, &handle[i],
					   free_link);
			poison_handle(&handle[i]);
		}
	}
	STAILQ_REMOVE_HEAD(&ch->free_handles, free_link);
	MP__UNPOISON(handle, sizeof(*handle));
	memset(handle, 0, sizeof(*handle));
	handle->ch = ch;
	handle->slot = -1;
	STAILQ_INIT(&handle->rd.ops);
	STAILQ_INIT(&handle->wr.ops);
	STAILQ_INIT(&handle->poll.ops);
	STAILQ_INIT(&handle->completed);
	LIST_INSERT_HEAD(&ch->handles, handle, link);
	ch->stats.handles++;
	return handle;
}

void mp__handle_free(struct mp_handle *handle)
{
	struct mp_channel *ch = handle->ch;

	handle->state = MP__FREE;
	LIST_REMOVE(handle, link);
	ch->stats.handles--;
	STAILQ_INSERT_TAIL(&ch->left_handles, handle, free_link);
	poison_handle(handle);
	if (ch->nleft < HANDLES_LEFT) {
		ch->nleft++;
		return;
	}
	handle = STAILQ_FIRST(&ch->left_handles);
	STAILQ_REMOVE_HEAD(&ch->left_handles, free_link);
	STAILQ_INSERT_HEAD(&ch->free_handles, handle, free_link);
}

/* ------------------------------------------------------------ creation */

static bool power_of_two(unsigned int n)
{
	return n && !(n & (n - 1));
}

static void set_default(unsigned int *value, unsigned int standard)
{
	if (!*value)
		*value = standard;
}

static bool all_zero(const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return false;
	return true;
}

/* Of a caller that may know fewer members, or more. */
static int copy_options(struct mp_options *to, const struct mp_options *from)
{
	size_t size = from->size;

	if (size < OPTIONS_SIZE_0_2)
		return -EINVAL;
	if (size > sizeof(*to)) {
		if (!all_zero((const char *)from + sizeof(*to),
			      size - sizeof(*to)))
			return -E2BIG;
		size = sizeof(*to);
	}
	memcpy(to, from, size);
	to->size = sizeof(*to);
	return 0;
}

static int check_options(struct mp_options *o)
{
	struct rlimit files;

	set_default(&o->batch, MP_BATCH_DEFAULT);
	set_default(&o->max_lwsockets, MP_LWSOCKETS_DEFAULT);
	set_default(&o->buffers, MP_BUFFERS_DEFAULT);
	set_default(&o->buffer_size, MP_BUFFER_SIZE_DEFAULT);
	set_default(&o->completions, MP_COMPLETIONS_DEFAULT);
	if (o->batch == 1)
		o->moderation_us = 0;
	if (o->batch > MP_BATCH_MAX || o->max_lwsockets > MP_LWSOCKETS_MAX ||
	    o->buffers > MP_BUFFERS_MAX || !power_of_two(o->buffers) ||
	    o->buffer_size > MP_BUFFER_SIZE_MAX ||
	    o->completions > MP_COMPLETIONS_MAX ||
	    !power_of_two(o->completions) ||
	    o->moderation_us > MP_MODERATION_MAX || o->steal_us > MP_STEAL_MAX)
		return -EINVAL;
	if (!getrlimit(RLIMIT_NOFILE, &files) &&
	    files.rlim_cur < o->max_lwsockets)
		o->max_lwsockets = files.rlim_cur;
	return 0;
}

/* What limits of the process have made of the options. */
static void tell_limits(struct mp_channel *ch)
{
	ch->stats.max_lwsockets = ch->options.max_lwsockets;
	ch->stats.buffers = ch->options.buffers;
	ch->stats.completion_entries = ch->options.completions;
}

static struct mp_channel *channel_new(const struct mp_options *options)
{
	struct mp_channel *ch = calloc(1, sizeof(*ch));

	if (!ch)
		return NULL;
	ch->options = *options;
	TAILQ_INIT(&ch->completed);
	SLIST_INIT(&ch->free_ops);
	LIST_INIT(&ch->handles);
	STAILQ_INIT(&ch->free_handles);
	STAILQ_INIT(&ch->left_handles);
	LIST_INIT(&ch->listeners);
	TAILQ_INIT(&ch->timers);
	TAILQ_INIT(&ch->lw.line);
	TAILQ_INIT(&ch->failed);
	TAILQ_INIT(&ch->disk.done);
	ch->disk.fd = -1;
	ch->lw.level = MP__LW_ANY;
	ch->lw.high = UINT32_MAX;
	ch->retry.expire = mp__accept_retry;
	ch->balance.look.expire = mp__balance_look;
	return ch;
}

/* Everything that a channel needs: what it lacks is told now. */
static int furnish(struct mp_channel *ch)
{
	int ret = ch->engine->create(ch);

	if (ret)
		return ret;
	ret = mp__lwsockets_create(ch);
	if (!ret)
		ret = mp__buffers_create(ch);
	if (!ret)
		return 0;
	free(ch->lwsockets);
	ch->engine->destroy(ch);
	return ret;
}

static int create_on(const struct mp__engine *engine,
		     const struct mp_options *options, struct mp_channel **out)
{
	struct mp_channel *ch = channel_new(options);
	int ret;

	if (!ch)
		return -ENOMEM;
	ret = mp__fork_join(ch);
	if (ret) {
		free(ch);
		return ret;
	}
	ch->engine = engine;
	mp__fds_hold(ch);
	ret = furnish(ch);
	mp__fds_let(ch);
	if (ret) {
		mp__fork_leave(ch);
		free(ch);
		return ret;
	}
	tell_limits(ch);
	*out = ch;
	return 0;
}

static int create_many(const struct mp__engine *engine,
		       const struct mp_options *options,
		       struct mp_channel **channels, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		int ret = create_on(engine, options, &channels[i]);

		if (!ret)
			continue;
		while (i)
			mp_destroy(channels[--i]);
		return ret;
	}
	return 0;
}

/*
 * So many at the same time, as large as RLIMIT_MEMLOCK lets them be. What is
 * too large for many is freed late, so that each size is tried for a while.
 */
static int create_fitting(const struct mp__engine *engine,
			  struct mp_options *options,
			  struct mp_channel **channels, unsigned int count)
{
	int64_t until_us = 0;
	int ret;

	for (;;) {
		ret = create_many(engine, options, channels, count);
		if (ret != -ENOMEM || !engine->locked_bytes)
			return ret;
		if (mp__memlock_allows(count * engine->locked_bytes(options)) &&
		    mp__memlock_wait(&until_us))
			continue;
		if (!mp__memlock_shrink(options))
			return ret;
		if (count > 1) {
			mp__memlock_freed();
			until_us = 0;
		}
	}
}

/* On the first engine that has them, of all or of the one that is named. */
static int create_on_any(struct mp_options *options,
			 struct mp_channel **channels, unsigned int count)
{
	const struct mp_options wanted = *options;
	bool is_auto = !wanted.engine || !strcmp(wanted.engine, "auto");
	int ret = -ENOENT;

	mp__why_clear();
	for (size_t i = 0; i < NENGINES; i++) {
		if (!is_auto && strcmp(wanted.engine, engines[i]->name))
			continue;
		*options = wanted;
		options->engine = engines[i]->name;
		ret = create_fitting(engines[i], options, channels, count);
		if (!ret)
			return 0;
	}
	if (!*mp_why())
		mp__why(ret == -ENOENT ? "no engine has this name" :
					 "no memory");
	return ret;
}

static int read_options(struct mp_options *to, const struct mp_options *from)
{
	int ret = from ? copy_options(to, from) : 0;

	return ret ? ret : check_options(to);
}

int mp_create(const struct mp_options *options, struct mp_channel **out)
{
	struct mp_options checked = { 0 };
	int ret;

	if (!out)
		return -EINVAL;
	mp__why("an option is out of its range");
	ret = read_options(&checked, options);
	return ret ? ret : create_on_any(&checked, out, 1);
}

int mp_choose(struct mp_options *options, unsigned int channels)
{
	struct mp_options checked = { 0 };
	struct mp_channel **all;
	int ret;

	if (!options || !channels || channels > MP_CHANNELS_MAX)
		return -EINVAL;
	mp__why("an option is out of its range");
	ret = read_options(&checked, options);
	if (ret)
		return ret;
	all = calloc(channels, sizeof(struct mp_channel *));
	if (!all)
		return -ENOMEM;
	checked.max_lwsockets = 1;
	ret = create_on_any(&checked, all, channels);
	for (unsigned int i = 0; !ret && i < channels; i++)
		mp_destroy(all[i]);
	free(all);
	mp__memlock_freed();
	if (ret)
		return ret;
	options->engine = checked.engine;
	options->buffers = checked.buffers;
	options->completions = checked.completions;
	return 0;
}

static void free_chunks(struct mp_channel *ch)
{
	struct chunk *chunk = ch->chunks;

	while (chunk) {
		struct chunk *next = chunk->next;

		free(chunk);
		chunk = next;
	}
}

void mp_destroy(struct mp_channel *ch)
{
	struct mp_handle *handle;

	if (!ch || !mp__is_owner(ch))
		return;
	while ((handle = LIST_FIRST(&ch->handles)))
		mp_unregister(handle);
	for (uint32_t i = 0; i < ch->options.max_lwsockets; i++)
		if (ch->lwsockets[i].state != MP__LW_FREE)
			mp__lwsocket_close(ch, i);
	ch->engine->flush(ch);
	mp__fds_hold(ch);
	ch->engine->destroy(ch);
	mp__fds_let(ch);
	mp__disk_destroy(ch);
	mp__fork_leave(ch);
	mp__memlock_freed();
	mp__buffers_destroy(ch);
	free(ch->lwsockets);
	free(ch->by_fd);
	free_chunks(ch);
	free(ch);
}

const char *mp_engine_name(const struct mp_channel *ch)
{
	return ch ? ch->engine->name : NULL;
}

void mp__tell_feature(struct mp_engine_info *info, bool has, const char *name)
{
	char *list = has ? info->features : info->missing;

	if (*list)
		strcat(list, " ");
	strcat(list, name);
}

static const struct mp__engine *engine_named(const char *name)
{
	for (size_t i = 0; i < NENGINES; i++)
		if (!strcmp(engines[i]->name, name))
			return engines[i];
	return NULL;
}

int mp_engine_probe(const char *name, struct mp_engine_info *info)
{
	const struct mp__engine *engine;

	if (!name || !info)
		return -EINVAL;
	engine = engine_named(name);
	if (!engine)
		return -ENOENT;
	memset(info, 0, sizeof(*info));
	mp__why_clear();
	info->error = engine->probe(info);
	return 0;
}

/* -------------------------------------------------------------- events */

/* Nobody is told of it. */
MP__RARELY void mp__drop(struct mp__op *op)
{
	struct mp_channel *ch = op->handle->ch;

	if (op->buffer != MP__NO_BUFFER)
		ch->engine->release(ch, op->buffer);
	mp__op_free(op);
}

MP__INLINE void tell_received(const struct mp__op *op, struct mp_event *ev)
{
	struct mp_channel *ch = op->handle->ch;

	ev->recv.buffer = op->buffer;
	ev->recv.data = NULL;
	if (op->buffer == MP__NO_BUFFER)
		return;
	ev->recv.data = mp__buffer(ch, op->buffer) + op->skip;
	ch->buffers.state[op->buffer].held = true;
	ch->stats.buffers_held++;
}

MP__RARELY static void tell_accepted(const struct mp__op *op,
				     struct mp_event *ev)
{
	struct mp_channel *ch = op->handle->ch;

	ev->accept.pending = 0;
	ev->accept.peer = NULL;
	ev->accept.peer_len = 0;
	if (op->result < 0)
		return;
	if (op->result < MP_LWSOCKET_BASE)
		mp__fd_disown(op->result);
	ev->accept.pending = --op->handle->undelivered;
	if (!op->addr_len)
		return;
	memcpy(&ch->peer, &op->addr, op->addr_len);
	ev->accept.peer = (struct sockaddr *)&ch->peer;
	ev->accept.peer_len = op->addr_len;
}

MP__INLINE void fill_event(struct mp__op *op, struct mp_event *ev)
{
	ev->cmd = op->cmd;
	ev->result = op->result;
	ev->cookie = op->handle->cookie;
	ev->handle = op->handle;
	if (op->cmd == MP_RECV)
		tell_received(op, ev);
	else if (op->cmd == MP_ACCEPT)
		tell_accepted(op, ev);
	else if (op->cmd == MP_POLL)
		op->handle->is_polling = false;
	else if (MP__UNLIKELY(op->has_broken))
		op->handle->unseen_breaks--;
}

MP__INLINE int dispatch_one(struct mp_channel *ch, struct mp_event *ev)
{
	struct mp__op *op = TAILQ_FIRST(&ch->completed);

	/* the oldest of all is its handle's oldest, too */
	TAILQ_REMOVE(&ch->completed, op, in_channel);
	STAILQ_REMOVE_HEAD(&op->handle->completed, link);
	fill_event(op, ev);
	if (op->cmd == MP_CLOSE)
		mp__handle_free(op->handle);
	ch->stats.completions++;
	mp__op_free(op);
	return 1;
}

MP__RARELY static int fetch_timed(struct mp_channel *ch, int64_t deadline_us)
{
	int64_t first_us = TAILQ_FIRST(&ch->timers)->at_us;
	bool is_first = deadline_us < 0 || first_us < deadline_us;
	int ret = ch->engine->fetch(ch, is_first ? first_us : deadline_us);

	mp__timers_run(ch);
	return is_first && ret == -ETIME ? 0 : ret;
}

int mp__fetch(struct mp_channel *ch, int64_t deadline_us)
{
	ch->is_used = true;
	if (TAILQ_EMPTY(&ch->timers))
		return ch->engine->fetch(ch, deadline_us);
	return fetch_timed(ch, deadline_us);
}

/* Who has nothing to do without waiting isn't busy: others want to know. */
MP__RARELY static int fetch_asked(struct mp_channel *ch, int64_t deadline_us)
{
	int ret = mp__fetch(ch, 0);

	if (!TAILQ_EMPTY(&ch->completed) || (ret && ret != -ETIME))
		return ret;
	__atomic_store_n(&ch->balance.is_asked, false, __ATOMIC_RELAXED);
	return deadline_us ? mp__fetch(ch, deadline_us) : ret;
}

/* A fetch can bring nothing that is an event: then wait for the rest. */
MP__INLINE int fetch_event(struct mp_channel *ch, int64_t deadline_us)
{
	int ret;

	do
		ret = MP__UNLIKELY(mp__is_asked(ch)) ?
			      fetch_asked(ch, deadline_us) :
			      mp__fetch(ch, deadline_us);
	while (!ret && TAILQ_EMPTY(&ch->completed) && mp__left_us(deadline_us));
	if (!TAILQ_EMPTY(&ch->completed))
		return 1;
	return ret == -ETIME ? 0 : ret;
}

static int64_t deadline_of(int64_t timeout_us)
{
	if (timeout_us <= 0)
		return timeout_us;
	return timeout_us > MP__LONGEST_US ? -1 : mp__now_us() + timeout_us;
}

MP__RARELY static int fetch_and_dispatch(struct mp_channel *ch,
					 struct mp_event *ev,
					 int64_t timeout_us)
{
	int ret = fetch_event(ch, deadline_of(timeout_us));

	return ret <= 0 ? ret : dispatch_one(ch, ev);
}

int mp_dispatch(struct mp_channel *ch, struct mp_event *ev, int64_t timeout_us)
{
	if (!ch || !ev || timeout_us < -1)
		return -EINVAL;
	if (!mp__is_owner(ch))
		return -EPERM;
	if (TAILQ_EMPTY(&ch->completed))
		return fetch_and_dispatch(ch, ev, timeout_us);
	return dispatch_one(ch, ev);
}

int mp_wait(struct mp_channel *ch, int64_t timeout_us)
{
	if (!ch || timeout_us < -1)
		return -EINVAL;
	if (!mp__is_owner(ch))
		return -EPERM;
	if (!TAILQ_EMPTY(&ch->completed))
		return 1;
	return fetch_event(ch, deadline_of(timeout_us));
}

int mp_pending(const struct mp_channel *ch)
{
	if (!ch)
		return -EINVAL;
	if (!mp__is_owner(ch))
		return -EPERM;
	return !TAILQ_EMPTY(&ch->completed);
}

/*
 * What the kernel answered to the channel's call, -errno. If it refuses such
 * calls (a seccomp filter that came after mp_create(), for example) nothing of
 * the channel ends any more: it isn't called again, and who waits is told.
 */
int mp__answered(struct mp_channel *ch, int ret)
{
	switch (ret) {
	case 0:
	case -EINTR:
	case -ETIME:
	case -EAGAIN:
	case -EBUSY:
	case -ENOMEM:
		break;
	default:
		ch->broken = ret;
	}
	return ret;
}

/* The engine pushes what was collected. */
void mp__account_flush(struct mp_channel *ch)
{
	struct mp_stats *stats = &ch->stats;
	unsigned int count = ch->unflushed + ch->unhurried;

	if (!count)
		return;
	stats->flushes++;
	stats->flushed += count;
	if (count > stats->largest_flush)
		stats->largest_flush = count;
	ch->unflushed = 0;
	ch->unhurried = 0;
}

/* The engine has fetched so many. */
void mp__account_fetch(struct mp_channel *ch, uint64_t count)
{
	ch->stats.fetches++;
	if (count > ch->stats.largest_fetch)
		ch->stats.largest_fetch = count;
}

int mp_flush(struct mp_channel *ch)
{
	if (!ch)
		return -EINVAL;
	if (!mp__is_owner(ch))
		return -EPERM;
	return ch->engine->flush(ch);
}

int mp_stats(const struct mp_channel *ch, struct mp_stats *stats)
{
	uint32_t size;

	if (!ch || !stats)
		return -EINVAL;
	if (!mp__is_owner(ch))
		return -EPERM;
	size = stats->size;
	if (size < STATS_SIZE_0_2)
		return -EINVAL;
	memset(stats, 0, size);
	memcpy(stats, &ch->stats,
	       size < sizeof(*stats) ? size : sizeof(*stats));
	stats->size = size;
	return 0;
}
