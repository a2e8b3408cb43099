// SPDX-License-Identifier: MIT
/*
 * Engine epoll: non-blocking calls, tried when the batch is flushed (the
 * opportunistic shortcut of the paper's section 4.1), and edge-triggered epoll
 * for what would block. It works everywhere; each operation is a system call.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"

#define EVENTS 256
/* Connections taken from a queue before others get their turn. */
#define RETRY_US 1000
/* What the eventfd of disk.c is marked with: no place has this number. */
#define DISK 0

TAILQ_HEAD(watches, mp__watch);

/* Who is watched by this number: an event of who was before him is void. */
struct place {
	struct mp__watch *watch; /* or NULL: free */
	uint32_t generation;
	uint32_t next_free;
};

struct epoll_engine {
	int epoll_fd;
	bool is_coarse;		/* waits in milliseconds: no epoll_pwait2() */
	uint32_t round;		/* of trying what is ready */
	struct watches ready;	/* have something to try */
	struct watches starved; /* their readers want a buffer */
	struct watches retries; /* no edge tells when to connect again */
	struct mp__timer retry;
	struct place *places; /* from 1 on */
	uint32_t nplaces;
	uint32_t free_place; /* or 0 */
	bool has_ended;	     /* accepts, in this fetch */
	struct epoll_event events[EVENTS];
};

static struct epoll_engine *engine_of(struct mp_channel *ch)
{
	return ch->priv;
}

static void retry_connects(struct mp__timer *timer);

/* ----------------------------------------------------------- life cycle */

static int epoll_probe(struct mp_engine_info *info)
{
	mp__tell_feature(info, !mp__steering(), "partition");
	return 0;
}

static int epoll_create_engine(struct mp_channel *ch)
{
	struct epoll_engine *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	TAILQ_INIT(&e->ready);
	TAILQ_INIT(&e->starved);
	TAILQ_INIT(&e->retries);
	e->retry.expire = retry_connects;
	e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (e->epoll_fd < 0) {
		free(e);
		return -errno;
	}
	mp__fd_own(e->epoll_fd);
	ch->priv = e;
	return 0;
}

static void epoll_destroy(struct mp_channel *ch)
{
	struct epoll_engine *e = engine_of(ch);

	mp__fd_close(ch, e->epoll_fd);
	free(e->places);
	free(e);
}

static void watch_init(struct mp__watch *w, struct mp_handle *handle,
		       struct mp__queue *queue)
{
	memset(w, 0, sizeof(*w));
	w->handle = handle;
	w->queue = queue;
	w->readable = true;
	w->writable = true;
}

/* Sockets are asked not to wait call by call; others can only be set so. */
static int epoll_attach(struct mp_handle *handle)
{
	watch_init(&handle->watch, handle, NULL);
	if (handle->kind == MP__POLLABLE)
		return mp__make_nonblocking(handle->ch, handle->fd);
	return 0;
}

/* ------------------------------------------------------------- watching */

static void enqueue(struct mp_channel *ch, struct mp__watch *w)
{
	if (w->queued)
		return;
	w->queued = true;
	w->round = engine_of(ch)->round;
	TAILQ_INSERT_TAIL(&engine_of(ch)->ready, w, ready);
}

static void dequeue(struct mp_channel *ch, struct mp__watch *w)
{
	if (w->queued)
		TAILQ_REMOVE(&engine_of(ch)->ready, w, ready);
	w->queued = false;
}

static void starve(struct mp_channel *ch, struct mp__watch *w)
{
	if (w->starved)
		return;
	w->starved = true;
	ch->stats.buffer_waits++;
	TAILQ_INSERT_TAIL(&engine_of(ch)->starved, w, starving);
}

static void unstarve(struct mp_channel *ch, struct mp__watch *w)
{
	if (w->starved)
		TAILQ_REMOVE(&engine_of(ch)->starved, w, starving);
	w->starved = false;
}

static void retry_later(struct mp_channel *ch, struct mp__watch *w)
{
	if (w->retrying)
		return;
	w->retrying = true;
	TAILQ_INSERT_TAIL(&engine_of(ch)->retries, w, retry);
	if (!engine_of(ch)->retry.ch)
		mp__timer_set(ch, &engine_of(ch)->retry, RETRY_US);
}

static void stop_retrying(struct mp_channel *ch, struct mp__watch *w)
{
	if (w->retrying)
		TAILQ_REMOVE(&engine_of(ch)->retries, w, retry);
	w->retrying = false;
}

static bool add_places(struct epoll_engine *e)
{
	uint32_t count = e->nplaces ? 2 * e->nplaces : 64;
	struct place *grown = reallocarray(e->places, count, sizeof(*grown));

	if (!grown)
		return false;
	e->places = grown;
	memset(grown + e->nplaces, 0, (count - e->nplaces) * sizeof(*grown));
	for (uint32_t i = count - 1; i >= e->nplaces && i; i--) {
		grown[i].next_free = e->free_place;
		e->free_place = i;
	}
	e->nplaces = count;
	return true;
}

static bool take_place(struct epoll_engine *e, struct mp__watch *w)
{
	if (!e->free_place && !add_places(e))
		return false;
	w->place = e->free_place;
	e->free_place = e->places[w->place].next_free;
	e->places[w->place].watch = w;
	return true;
}

static void leave_place(struct epoll_engine *e, struct mp__watch *w)
{
	struct place *place = &e->places[w->place];

	place->watch = NULL;
	place->generation++;
	place->next_free = e->free_place;
	e->free_place = w->place;
	w->place = 0;
}

static struct mp__watch *watch_of(struct mp__queue *q)
{
	return q->is_clone || q->is_foreign ? &q->watch : &q->handle->watch;
}

static int watched_fd(const struct mp__watch *w)
{
	return w->queue ? w->queue->fd : w->handle->fd;
}

/*
 * The open file may be there already by the same number, if somebody has closed
 * that under an earlier handle.
 */
MP__RARELY static int begin_watching(struct mp_channel *ch, struct mp__watch *w)
{
	struct epoll_engine *e = engine_of(ch);
	struct epoll_event ev = {
		.events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET,
	};
	int fd = watched_fd(w), error;

	if (!take_place(e, w))
		return -ENOMEM;
	ev.data.u64 = (uint64_t)e->places[w->place].generation << 32 | w->place;
	ch->stats.crossings++;
	if (!epoll_ctl(e->epoll_fd, EPOLL_CTL_ADD, fd, &ev) ||
	    (errno == EEXIST &&
	     !epoll_ctl(e->epoll_fd, EPOLL_CTL_MOD, fd, &ev)))
		return 0;
	error = -errno;
	leave_place(e, w);
	return error;
}

/* Only what would block is watched at all. */
MP__INLINE int watch(struct mp_channel *ch, struct mp__watch *w)
{
	return MP__LIKELY(w->place) ? 0 : begin_watching(ch, w);
}

static void unwatch(struct mp_channel *ch, struct mp__watch *w)
{
	dequeue(ch, w);
	unstarve(ch, w);
	stop_retrying(ch, w);
	if (!w->place)
		return;
	leave_place(engine_of(ch), w);
	ch->stats.crossings++;
	epoll_ctl(engine_of(ch)->epoll_fd, EPOLL_CTL_DEL, watched_fd(w), NULL);
}

static void epoll_detach(struct mp_handle *handle)
{
	struct mp__listener *l = handle->listener;

	unwatch(handle->ch, &handle->watch);
	handle->watch.queue = NULL;
	for (unsigned int i = 0; l && i < l->nqueues; i++)
		if (l->queues[i]->watch.handle)
			unwatch(handle->ch, &l->queues[i]->watch);
}

/* ---------------------------------------------------------- operations */

static ssize_t do_write(struct mp__op *op)
{
	struct msghdr msg = { .msg_iov = op->iov, .msg_iovlen = op->iovcnt };
	int fd = op->handle->fd;

	if (mp__is_socket(op->handle) && op->iovcnt == 1)
		return send(fd, op->iov->iov_base, op->iov->iov_len,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (mp__is_socket(op->handle))
		return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	return writev(fd, op->iov, op->iovcnt);
}

static ssize_t do_read(struct mp__op *op)
{
	struct msghdr msg = { .msg_iov = op->iov, .msg_iovlen = op->iovcnt };
	int fd = op->handle->fd;

	if (mp__is_socket(op->handle) && op->iovcnt == 1)
		return recv(fd, op->iov->iov_base, op->iov->iov_len,
			    MSG_DONTWAIT);
	if (mp__is_socket(op->handle))
		return recvmsg(fd, &msg, MSG_DONTWAIT);
	return readv(fd, op->iov, op->iovcnt);
}

static ssize_t do_recv(struct mp__op *op)
{
	struct mp_channel *ch = op->handle->ch;
	struct mp__buffers *b = &ch->buffers;
	uint32_t buffer = b->free[b->nfree - 1];
	size_t size = ch->options.buffer_size;
	ssize_t n;

	n = mp__is_socket(op->handle) ?
		    recv(op->handle->fd, mp__buffer(ch, buffer), size,
			 MSG_DONTWAIT) :
		    read(op->handle->fd, mp__buffer(ch, buffer), size);
	if (n > 0) {
		b->nfree--;
		op->buffer = buffer;
	}
	return n;
}

static int do_connect(struct mp__op *op)
{
	int fd = op->handle->fd, error = 0;
	socklen_t len = sizeof(error);

	if (!op->polled) {
		mp__make_nonblocking(op->handle->ch, fd);
		if (!connect(fd, (struct sockaddr *)&op->addr, op->addr_len))
			return 0;
		if (errno != EINPROGRESS)
			return -1;
		op->polled = true;
		errno = EAGAIN;
		return -1;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len))
		return -1;
	errno = error;
	return error ? -1 : 0;
}

static ssize_t do_poll(struct mp__op *op)
{
	struct pollfd pfd = { .fd = op->handle->fd, .events = op->events };
	int n = poll(&pfd, 1, 0);

	if (n > 0)
		return pfd.revents;
	if (!n)
		errno = EAGAIN;
	return -1;
}

static int do_close(struct mp__op *op)
{
	struct mp_handle *handle = op->handle;

	/* the open file may live on, in a child or as a duplicate */
	epoll_detach(handle);
	return handle->kind == MP__DISK ?
		       mp__disk_close(handle->ch, handle->fd) :
		       mp__fd_close(handle->ch, handle->fd);
}

static ssize_t call(struct mp__op *op)
{
	int fd = op->handle->fd;

	switch (op->cmd) {
	case MP_READ:
		return do_read(op);
	case MP_RECV:
		return do_recv(op);
	case MP_WRITE:
		return do_write(op);
	case MP_RECVMSG:
		return recvmsg(fd, op->caller_msg, MSG_DONTWAIT);
	case MP_SENDMSG:
		return sendmsg(fd, op->caller_msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	case MP_CONNECT:
		return do_connect(op);
	case MP_DISCONNECT:
		return shutdown(fd, op->how);
	case MP_POLL:
		return do_poll(op);
	case MP_CLOSE:
		return do_close(op);
	default:
		errno = EINVAL;
		return -1;
	}
}

static ssize_t attempt(struct mp__op *op)
{
	ssize_t ret;

	do {
		op->handle->ch->stats.crossings++;
		ret = call(op);
	} while (ret < 0 && errno == EINTR && op->cmd != MP_CLOSE);
	return ret < 0 ? -errno : ret;
}

/*
 * A short read has emptied a TCP socket: the next edge tells when there is
 * more. UNIX sockets end a read behind descriptors that came along, TCP before
 * urgent data.
 */
static bool has_drained(const struct mp__watch *w, const struct mp__op *op,
			ssize_t n)
{
	size_t asked = op->cmd == MP_RECV ?
			       op->handle->ch->options.buffer_size :
			       op->iov->iov_len;

	return w->handle->is_tcp && !w->hung_up && !w->urgent && n > 0 &&
	       op->iovcnt <= 1 && op->cmd != MP_RECVMSG && (size_t)n < asked;
}

/* It is always ready, and may block all the same. */
MP__RARELY static void run_disk(struct mp__watch *w, struct mp__op *op)
{
	struct mp_channel *ch = w->handle->ch;

	if (op->in_pool)
		return;
	if (op->cmd == MP_RECV && !ch->buffers.nfree) {
		starve(ch, w);
		return;
	}
	if (op->cmd == MP_RECV)
		op->buffer = ch->buffers.free[--ch->buffers.nfree];
	mp__disk_start(op);
}

static void run_read(struct mp__watch *w, struct mp__op *op)
{
	struct mp_channel *ch = w->handle->ch;
	ssize_t n = -EAGAIN;

	if (MP__UNLIKELY(w->handle->kind == MP__DISK)) {
		run_disk(w, op);
		return;
	}
	if (op->cmd == MP_RECV && !ch->buffers.nfree) {
		starve(ch, w);
		return;
	}
	if (w->readable)
		n = attempt(op);
	if (n == -EAGAIN) {
		w->readable = false;
		n = watch(ch, w);
		if (n)
			mp__op_done(op, n);
		return;
	}
	if (has_drained(w, op, n))
		w->readable = false;
	mp__op_done(op, n);
}

static void run_write(struct mp__watch *w, struct mp__op *op)
{
	ssize_t n = -EAGAIN;

	if (MP__UNLIKELY(w->handle->kind == MP__DISK && op->cmd != MP_CLOSE)) {
		run_disk(w, op);
		return;
	}
	if (w->writable || op->cmd == MP_DISCONNECT || op->cmd == MP_CLOSE)
		n = attempt(op);
	if (n == -EAGAIN && op->cmd == MP_CONNECT && !op->polled) {
		retry_later(w->handle->ch, w);
		return;
	}
	if (n == -EAGAIN) {
		w->writable = false;
		n = watch(w->handle->ch, w);
		if (!n)
			return;
	}
	mp__op_done(op, n);
}

/* The edges of an epoll instance or a socket tell when to look again. */
static void run_poll(struct mp__watch *w, struct mp__op *op)
{
	ssize_t n = attempt(op);

	if (n == -EAGAIN) {
		n = watch(w->handle->ch, w);
		if (!n)
			return;
	}
	mp__poll_done(op, n);
}

/* What was armed, and not what is armed when that has ended. */
static void end_accepts(struct mp__queue *q)
{
	engine_of(q->handle->ch)->has_ended = true;
	for (uint32_t n = q->armed; n; n--)
		mp__accepted(q, -ECANCELED, false);
}

/* True: it has told. */
static bool poll_queue(struct mp__watch *w)
{
	struct pollfd pfd = { .fd = w->queue->fd, .events = POLLIN };

	if (!w->readable)
		return false;
	w->handle->ch->stats.crossings++;
	w->readable = poll(&pfd, 1, 0) != 0;
	if (w->readable)
		mp__accepted(w->queue, POLLIN, false);
	return w->readable;
}

/* True: it has had its turn, and there may be more. */
static bool accept_some(struct mp__watch *w)
{
	struct mp__queue *q = w->queue;
	uint32_t most = mp__queue_share(q);

	if (most > MP__ACCEPTS_A_TURN)
		most = MP__ACCEPTS_A_TURN;
	for (uint32_t i = 0; i < most; i++) {
		int fd;

		if (!q->armed || q->polls || mp__queue_is_ending(q) ||
		    !w->readable)
			return false;
		fd = mp__accept4(q);
		if (fd == -EAGAIN) {
			w->readable = false;
			if (!mp__queue_is_nowait(q))
				return false;
		}
		mp__accepted(q, fd, fd >= 0 && q->multi);
	}
	return true;
}

MP__RARELY static void run_accept(struct mp__watch *w)
{
	struct mp__queue *q = w->queue;
	struct mp_channel *ch = w->handle->ch;

	if (!q->armed)
		return;
	if (mp__queue_is_ending(q)) {
		end_accepts(q);
		return;
	}
	if (q->polls ? poll_queue(w) : accept_some(w)) {
		if (q->armed)
			enqueue(ch, w);
		return;
	}
	if (q->armed && !w->queued) {
		int ret = watch(ch, w);

		if (ret)
			mp__accepted(q, ret, false);
	}
}

static void run(struct mp__watch *w)
{
	struct mp_handle *handle = w->handle;

	if (MP__UNLIKELY(w->queue)) {
		run_accept(w);
		if (w != &handle->watch)
			return;
	}
	if (handle->rd.busy)
		run_read(w, STAILQ_FIRST(&handle->rd.ops));
	if (handle->poll.busy)
		run_poll(w, STAILQ_FIRST(&handle->poll.ops));
	if (handle->wr.busy)
		run_write(w, STAILQ_FIRST(&handle->wr.ops));
}

static void epoll_start(struct mp__op *op)
{
	op->handle->ch->unflushed++;
	enqueue(op->handle->ch, &op->handle->watch);
}

/* Closing isn't given up: nobody else would close the file. */
static void epoll_cancel(struct mp__op *op)
{
	if (op->in_pool)
		mp__disk_cancel(op);
	else if (op->cmd == MP_POLL)
		mp__poll_done(op, -ECANCELED);
	else
		mp__op_done(op, op->cmd == MP_CLOSE ? attempt(op) : -ECANCELED);
}

static int epoll_accept(struct mp__queue *q)
{
	struct mp_channel *ch = q->handle->ch;
	struct mp__watch *w = watch_of(q);

	if (!w->queue) {
		if (w == &q->watch)
			watch_init(w, q->handle, q);
		w->queue = q;
		mp__make_nonblocking(ch, q->fd);
	}
	if (mp__queue_is_nowait(q))
		w->readable = true;
	ch->unflushed++;
	enqueue(ch, w);
	return 0;
}

static void epoll_accept_stop(struct mp__queue *q)
{
	enqueue(q->handle->ch, watch_of(q));
}

static bool epoll_can_close(const struct mp_handle *handle)
{
	return !mp__is_in_flight(handle);
}

static void epoll_quiesce(struct mp_handle *handle)
{
	(void)handle;
}

/* ------------------------------------------------------ flush and fetch */

/*
 * Who comes back into the list waits for the next round. Nothing but the list
 * is remembered from one to the next: each of them may make others go.
 */
static void run_ready(struct mp_channel *ch)
{
	struct epoll_engine *e = engine_of(ch);
	uint32_t round = ++e->round;
	struct mp__watch *w;

	while ((w = TAILQ_FIRST(&e->ready)) && w->round != round) {
		dequeue(ch, w);
		run(w);
	}
}

/*
 * Whom a release let go on may have nothing to receive, or come to its end:
 * then the buffer is for the next.
 */
static void feed(struct mp_channel *ch)
{
	struct mp__watch *w;

	while (ch->buffers.nfree &&
	       (w = TAILQ_FIRST(&engine_of(ch)->starved))) {
		unstarve(ch, w);
		run(w);
	}
}

static int epoll_flush(struct mp_channel *ch)
{
	mp__account_flush(ch);
	run_ready(ch);
	feed(ch);
	return 0;
}

static int wait_finely(struct epoll_engine *e, int max, int64_t timeout_us)
{
#ifdef SYS_epoll_pwait2
	struct timespec ts = {
		.tv_sec = timeout_us / 1000000,
		.tv_nsec = timeout_us % 1000000 * 1000,
	};

	return syscall(SYS_epoll_pwait2, e->epoll_fd, e->events, max,
		       timeout_us < 0 ? NULL : &ts, NULL, (size_t)0);
#else
	(void)e;
	(void)max;
	(void)timeout_us;
	errno = ENOSYS;
	return -1;
#endif
}

static int wait_coarsely(struct epoll_engine *e, int max, int64_t timeout_us)
{
	int64_t ms = timeout_us < 0 ? -1 : (timeout_us + 999) / 1000;

	return epoll_wait(e->epoll_fd, e->events, max,
			  ms > INT_MAX ? INT_MAX : ms);
}

/* Older kernels don't have it, and seccomp filters don't know it. */
static bool is_refused(int error)
{
	return error == ENOSYS || error == EPERM;
}

static int wait_events(struct mp_channel *ch, int64_t timeout_us)
{
	struct epoll_engine *e = engine_of(ch);
	int max = ch->options.batch == 1 ? 1 : EVENTS, n = -1;

	if (!e->is_coarse) {
		ch->stats.crossings++;
		n = wait_finely(e, max, timeout_us);
		e->is_coarse = n < 0 && is_refused(errno);
	}
	if (e->is_coarse) {
		ch->stats.crossings++;
		n = wait_coarsely(e, max, timeout_us);
	}
	return n < 0 ? -errno : n;
}

/* Who was watched before may be gone, and its open file still be there. */
static struct mp__watch *whose(const struct epoll_engine *e,
			       const struct epoll_event *ev)
{
	const struct place *place = &e->places[(uint32_t)ev->data.u64];

	return place->generation == ev->data.u64 >> 32 ? place->watch : NULL;
}

static void mark_ready(struct mp_channel *ch, const struct epoll_event *ev)
{
	struct mp__watch *w;
	uint32_t gone = EPOLLERR | EPOLLHUP;

	if (MP__UNLIKELY(ev->data.u64 == DISK)) {
		mp__disk_finish(ch);
		return;
	}
	w = whose(engine_of(ch), ev);
	if (!w)
		return;
	if (ev->events & (gone | EPOLLRDHUP))
		w->hung_up = true;
	if (ev->events & EPOLLPRI)
		w->urgent = true;
	if (ev->events & (EPOLLIN | EPOLLRDHUP | gone))
		w->readable = true;
	if (ev->events & (EPOLLOUT | gone))
		w->writable = true;
	enqueue(ch, w);
}

/* Each write is another edge: nobody needs to read. */
static int epoll_await(struct mp_channel *ch, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET,
				  .data.u64 = DISK };

	ch->stats.crossings++;
	return epoll_ctl(engine_of(ch)->epoll_fd, EPOLL_CTL_ADD, fd, &ev) ?
		       -errno :
		       0;
}

/* A UNIX socket's full backlog (AF_UNIX has no edge for it). */
static void retry_connects(struct mp__timer *timer)
{
	struct epoll_engine *e =
		MP__CONTAINER(timer, struct epoll_engine, retry);
	struct mp__watch *w;

	while ((w = TAILQ_FIRST(&e->retries))) {
		stop_retrying(w->handle->ch, w);
		enqueue(w->handle->ch, w);
	}
}

static int epoll_fetch(struct mp_channel *ch, int64_t deadline_us)
{
	struct epoll_engine *e = engine_of(ch);
	const struct mp__timer *first = TAILQ_FIRST(&ch->timers);
	uint64_t before = ch->stats.fetched;
	bool is_idle;
	int n;

	e->has_ended = false;
	epoll_flush(ch);
	is_idle = TAILQ_EMPTY(&ch->completed) && TAILQ_EMPTY(&e->ready) &&
		  !e->has_ended && first == TAILQ_FIRST(&ch->timers);
	n = wait_events(ch, is_idle ? mp__left_us(deadline_us) : 0);
	for (int i = 0; i < n; i++)
		mark_ready(ch, &e->events[i]);
	run_ready(ch);
	mp__account_fetch(ch, ch->stats.fetched - before);
	if (n < 0)
		return n;
	return n || !is_idle ? 0 : -ETIME;
}

/* --------------------------------------------------------------- buffers */

static int epoll_buffers(struct mp_channel *ch)
{
	struct mp__buffers *b = &ch->buffers;

	for (uint32_t i = ch->options.buffers; i-- > 0;)
		b->free[b->nfree++] = i;
	return 0;
}

static void epoll_release(struct mp_channel *ch, uint32_t buffer)
{
	struct epoll_engine *e = engine_of(ch);
	struct mp__watch *w = TAILQ_FIRST(&e->starved);

	ch->buffers.free[ch->buffers.nfree++] = buffer;
	if (!w)
		return;
	unstarve(ch, w);
	enqueue(ch, w);
}

/* lwsockets are hidden fds here: none is without one. */
static void epoll_close_slot(struct mp_channel *ch, unsigned int slot)
{
	(void)ch;
	(void)slot;
}

static int epoll_install_fd(struct mp_channel *ch, unsigned int slot)
{
	(void)ch;
	(void)slot;
	return -EBADF;
}

const struct mp__engine mp__engine_epoll = {
	.name = "epoll",
	.probe = epoll_probe,
	.create = epoll_create_engine,
	.destroy = epoll_destroy,
	.attach = epoll_attach,
	.detach = epoll_detach,
	.start = epoll_start,
	.cancel = epoll_cancel,
	.accepts = 1,
	.accept = epoll_accept,
	.accept_poll = epoll_accept,
	.accept_stop = epoll_accept_stop,
	.can_close = epoll_can_close,
	.quiesce = epoll_quiesce,
	.close_slot = epoll_close_slot,
	.flush = epoll_flush,
	.fetch = epoll_fetch,
	.buffers = epoll_buffers,
	.release = epoll_release,
	.install_fd = epoll_install_fd,
	.await = epoll_await,
};
