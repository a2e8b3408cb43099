/* SPDX-License-Identifier: MIT */
/*
 * A random program of operations, by a seed, and a trace of what can be seen
 * of it: the same on every engine.
 *
 *	trace <engine> <seed>
 *
 * Links of several kinds are opened, both their ends being handles. Each step
 * asks for some operations, and then waits for all that is due. So the trace
 * says what came of the operations, not when: each lane's events in order,
 * what was received as a count and a checksum, errors by their meaning.
 *
 * Bells are eventfds that are watched by mp_poll() and rung from outside.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/eventfd.h>

#include "check.h"

#define STEPS 40
#define LINKS 24
#define BELLS 3
#define LARGE (1 << 20)	   /* never fits into the buffers of a link */
#define UNREAD_BYTES 30000 /* ... and this does, in so many writes: */
#define UNREAD_COUNT 16
#define MOST_QUEUED 64
#define MOST_HELD 3
#define SILENCE_US 2000

enum kind { TCP_FD, TCP_LWSOCKET, UNIX_STREAM, KINDS };

struct asked {
	enum mp_command cmd;
	size_t size;
	char *bytes;
};

struct end {
	struct end *other;
	struct mp_handle *h;
	int id;
	bool is_reading; /* a read or recv is in flight */
	bool is_closing; /* mp_close() was called */
	bool is_gone;	 /* closed, or unregistered */
	bool has_shut;	 /* its side is disconnected */
	bool has_failed; /* one of its writes */
	bool has_ended;	 /* has seen the other's end */
	bool is_torn;	 /* how much it receives is up to the kernel */
	struct asked queue[MOST_QUEUED]; /* the write lane */
	int first, count;
	uint64_t written, sent, received, reported;
	uint32_t checksum;
	unsigned int unread; /* writes since the other began to read */
	char room[5000];     /* of the read in flight */
	struct iovec iov[2];
	char events[2][400]; /* of this step, by lane */
};

struct bell {
	struct mp_handle *h;
	int fd;
	bool is_rung;
	bool is_watched; /* an mp_poll() is in flight */
	bool is_closing;
	char events[60];
};

static struct mp_channel *ch;
static struct mp_handle *listeners[2]; /* for fds, for lwsockets */
static int listener_fds[2];
static struct end ends[2 * LINKS];
static int nends;
static struct bell bells[BELLS];
static struct mp_event held[MOST_HELD];
static int nheld;
static unsigned int program, details; /* what is asked for; how it is read */

static unsigned int random_below(unsigned int n)
{
	return rand_r(&program) % n;
}

/* ------------------------------------------------------------ the trace */

enum lane { WRITES, READS };

static void note(struct end *e, enum lane lane, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void note(struct end *e, enum lane lane, const char *format, ...)
{
	size_t used = strlen(e->events[lane]);
	va_list args;

	va_start(args, format);
	vsnprintf(e->events[lane] + used, sizeof(e->events[lane]) - used,
		  format, args);
	va_end(args);
}

static void print_step(int step)
{
	for (int i = 0; i < nends; i++) {
		struct end *e = &ends[i];

		if (!e->is_torn && e->received != e->reported)
			note(e, READS, " received %llu %08x",
			     (unsigned long long)e->received, e->checksum);
		e->reported = e->received;
		if (e->events[WRITES][0] || e->events[READS][0])
			printf("%d: end %d:%s%s\n", step, i, e->events[WRITES],
			       e->events[READS]);
		e->events[WRITES][0] = e->events[READS][0] = '\0';
	}
	for (int i = 0; i < BELLS; i++) {
		if (bells[i].events[0])
			printf("%d: bell %d:%s\n", step, i, bells[i].events);
		bells[i].events[0] = '\0';
	}
}

/* -------------------------------------------------------------- reading */

static void ask_read(struct end *e)
{
	size_t size = 1 + rand_r(&details) % sizeof(e->room);

	e->is_reading = true;
	switch (rand_r(&details) % 3) {
	case 0:
		CHECK_IS(mp_read(e->h, e->room, size), 0);
		break;
	case 1:
		e->iov[0] = (struct iovec){ e->room, size / 2 };
		e->iov[1] =
			(struct iovec){ e->room + size / 2, size - size / 2 };
		CHECK_IS(mp_readv(e->h, e->iov, 2), 0);
		break;
	case 2:
		CHECK_IS(mp_recv(e->h), 0);
		break;
	}
}

static void take(struct end *e, const unsigned char *bytes, size_t size)
{
	check_filled(bytes, size, e->received);
	e->received += size;
	for (size_t i = 0; i < size; i++)
		e->checksum = (e->checksum << 5 | e->checksum >> 27) ^ bytes[i];
}

static void release_some(int keep)
{
	while (nheld > keep)
		CHECK_IS(mp_release(ch, &held[--nheld]), 0);
}

static void on_read(struct end *e, struct mp_event ev)
{
	CHECK(e->is_reading);
	e->is_reading = false;
	if (ev.result == -ECANCELED) {
		note(e, READS, " read canceled");
	} else if (ev.result == 0 || ev.result == -ECONNRESET) {
		e->has_ended = true;
		note(e, READS, " end");
	} else if (ev.result < 0) {
		note(e, READS, " read %zd", ev.result);
	} else {
		take(e, ev.cmd == MP_RECV ? ev.recv.data : (void *)e->room,
		     ev.result);
		if (ev.cmd == MP_RECV) {
			release_some(rand_r(&details) % MOST_HELD);
			held[nheld++] = ev;
		}
		if (!e->is_closing)
			ask_read(e);
	}
}

/* -------------------------------------------------------------- writing */

static struct asked *ask(struct end *e, enum mp_command cmd)
{
	struct asked *a = &e->queue[(e->first + e->count) % MOST_QUEUED];

	CHECK(e->count < MOST_QUEUED);
	e->count++;
	*a = (struct asked){ .cmd = cmd };
	return a;
}

static void ask_write(struct end *e, size_t size)
{
	struct asked *a = ask(e, MP_WRITE);
	struct iovec iov[2];

	a->size = size;
	a->bytes = malloc(size);
	fill(a->bytes, size, e->written);
	e->written += size;
	if (random_below(2)) {
		CHECK_IS(mp_write(e->h, a->bytes, size), 0);
		return;
	}
	iov[0] = (struct iovec){ a->bytes, size / 3 };
	iov[1] = (struct iovec){ a->bytes + size / 3, size - size / 3 };
	CHECK_IS(mp_writev(e->h, iov, 2), 0);
}

/*
 * A write behind a failed one is canceled, or fails by itself if it was asked
 * for after the failure: that is a matter of time.
 */
static void on_written(struct end *e, const struct asked *a, ssize_t result)
{
	CHECK(result != -ECANCELED || e->has_failed);
	e->has_failed |= result < 0;
	if (result < 0)
		note(e, WRITES, " write failed");
	else
		note(e, WRITES, " wrote %zd", result);
	if (result == (ssize_t)a->size)
		e->sent += a->size;
	else
		e->other->is_torn = true;
}

/* What an end that closes hasn't read makes TCP reset: so does SO_LINGER. */
static void gone(struct end *e, bool by_reset)
{
	e->is_gone = true;
	if (by_reset || e->received < e->other->written)
		e->other->is_torn = true;
}

/* Events of a lane come in the order in which they were asked for. */
static void on_write_lane(struct end *e, struct mp_event ev)
{
	struct asked *a = &e->queue[e->first];

	CHECK(e->count > 0);
	CHECK_IS(ev.cmd, a->cmd);
	/* by the second time both sides may have ended it, or not yet */
	if (ev.cmd == MP_DISCONNECT && e->has_shut && ev.result == -ENOTCONN)
		ev.result = 0;
	e->first = (e->first + 1) % MOST_QUEUED;
	e->count--;
	if (ev.cmd == MP_WRITE)
		on_written(e, a, ev.result);
	else
		note(e, WRITES, " %s %zd", command_name(ev.cmd), ev.result);
	free(a->bytes);
	if (ev.cmd == MP_DISCONNECT)
		e->has_shut = true;
	if (ev.cmd == MP_CLOSE)
		gone(e, false);
}

/* ---------------------------------------------------------------- bells */

static struct bell *bell_of(const void *cookie)
{
	for (int i = 0; i < BELLS; i++)
		if (cookie == &bells[i])
			return &bells[i];
	return NULL;
}

static void on_bell(struct bell *b, struct mp_event ev)
{
	size_t used = strlen(b->events);

	CHECK(b->h == ev.handle);
	snprintf(b->events + used, sizeof(b->events) - used, " %s %zd",
		 command_name(ev.cmd), ev.result);
	if (ev.cmd == MP_POLL)
		b->is_watched = false;
	else
		*b = (struct bell){ 0 };
}

static bool is_bell_due(const struct bell *b)
{
	return b->h && (b->is_closing || (b->is_watched && b->is_rung));
}

static void hang(struct bell *b)
{
	b->fd = SYS(eventfd(0, EFD_NONBLOCK));
	CHECK_IS(mp_register(ch, b->fd, b, NULL, &b->h), 0);
}

static void take_down(struct bell *b)
{
	CHECK_IS(mp_unregister(b->h), 0);
	SYS(close(b->fd));
	*b = (struct bell){ 0 };
}

static void ring_or_hush(struct bell *b)
{
	uint64_t count = 1;

	if (b->is_rung)
		SYS(read(b->fd, &count, sizeof(count)));
	else
		SYS(write(b->fd, &count, sizeof(count)));
	b->is_rung = !b->is_rung;
}

/* One thing a step: what is ready is to depend on nothing but the program. */
static void use_bell(struct bell *b)
{
	unsigned int what = random_below(10);

	if (!b->h) {
		hang(b);
	} else if (what < 4) {
		ring_or_hush(b);
	} else if (what < 8) {
		CHECK_IS(mp_poll(b->h, POLLIN), 0);
		b->is_watched = true;
	} else if (what == 8) {
		CHECK_IS(mp_close(b->h), 0);
		b->is_closing = true;
	} else {
		take_down(b);
	}
}

/* ----------------------------------------------------- waiting for events */

static void dispatched(struct mp_event ev)
{
	struct bell *b = bell_of(ev.cookie);
	struct end *e = ev.cookie;

	if (b) {
		on_bell(b, ev);
		return;
	}
	CHECK(e && e->h == ev.handle && !e->is_gone);
	if (ev.cmd == MP_READ || ev.cmd == MP_RECV)
		on_read(e, ev);
	else
		on_write_lane(e, ev);
}

static bool takes_large(const struct end *e)
{
	return e->is_gone || e->is_reading;
}

/* Must an event come for this end? */
static bool is_due(const struct end *e)
{
	const struct asked *a = &e->queue[e->first];
	const struct end *o = e->other;

	if (e->is_gone)
		return false;
	if (e->count > 0 && (a->size < LARGE || takes_large(o)))
		return true;
	if (!e->is_reading)
		return false;
	return e->is_closing || o->is_gone || o->has_shut ||
	       (!e->is_torn && e->received < o->sent);
}

static bool anything_due(void)
{
	for (int i = 0; i < nends; i++)
		if (is_due(&ends[i]))
			return true;
	for (int i = 0; i < BELLS; i++)
		if (is_bell_due(&bells[i]))
			return true;
	return false;
}

static void settle(void)
{
	struct mp_event ev;
	int r;

	do {
		r = mp_dispatch(ch, &ev,
				anything_due() ? PATIENCE_US : SILENCE_US);
		CHECK(r >= 0);
		if (r == 1)
			dispatched(ev);
	} while (r == 1);
	for (int i = 0; i < nends; i++)
		if (is_due(&ends[i]))
			note(&ends[i], READS, " MISSING");
	release_some(0);
}

/* --------------------------------------------------------------- opening */

static void prepare(int fd)
{
	int size = 32 << 10, one = 1;

	SYS(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
	SYS(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)));
	/* else data may wait for an acknowledgement, which is late */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void begin_end(struct end *e, int id)
{
	e->id = id;
	CHECK_IS(mp_register(ch, id, e, NULL, &e->h), 0);
}

static void open_tcp(struct end *e, int which)
{
	struct address a = address_of(listener_fds[which]);
	int fd = SYS(socket(AF_INET, SOCK_STREAM, 0)), accepted = -1;

	prepare(fd);
	begin_end(&e[0], fd);
	CHECK_IS(mp_connect(e->h, (struct sockaddr *)&a.storage, a.len), 0);
	for (int i = 0; i < 2; i++) {
		struct mp_event ev = NEXT(ch);

		CHECK(ev.result >= 0);
		if (ev.cmd == MP_ACCEPT)
			accepted = ev.result;
		else
			CHECK(ev.cmd == MP_CONNECT && ev.handle == e->h);
	}
	CHECK((accepted >= MP_LWSOCKET_BASE) == which);
	begin_end(&e[1], accepted);
}

static void open_link(void)
{
	struct end *e = &ends[nends];
	int pair[2];

	if (nends == 2 * LINKS)
		return;
	nends += 2;
	e[0].other = &e[1];
	e[1].other = &e[0];
	switch (random_below(KINDS)) {
	case TCP_FD:
		open_tcp(e, 0);
		break;
	case TCP_LWSOCKET:
		open_tcp(e, 1);
		break;
	case UNIX_STREAM:
		unix_pair(pair, SOCK_STREAM);
		for (int i = 0; i < 2; i++) {
			prepare(pair[i]);
			begin_end(&e[i], pair[i]);
		}
		break;
	}
}

/* ------------------------------------------------------- what is asked for */

static bool is_usable(const struct end *e)
{
	return !e->is_gone && !e->is_closing;
}

static bool has_room(const struct end *e)
{
	uint64_t received = e->other->received;

	return e->count < UNREAD_COUNT &&
	       (e->other->is_reading || (e->unread < UNREAD_COUNT &&
					 e->written - received < UNREAD_BYTES));
}

static void ask_one(struct end *e)
{
	if (!is_usable(e))
		return;
	switch (random_below(10)) {
	case 0:
	case 1:
		if (!e->is_reading && !e->has_ended) {
			e->other->unread = 0;
			ask_read(e);
		}
		break;
	case 2:
		if (has_room(e)) {
			e->unread = UNREAD_COUNT; /* no more till it is read */
			ask_write(e, LARGE);
		}
		break;
	case 3:
		if (e->count < UNREAD_COUNT && random_below(3) == 0) {
			ask(e, MP_DISCONNECT);
			CHECK_IS(mp_disconnect(e->h, SHUT_WR), 0);
		}
		break;
	default:
		if (has_room(e)) {
			e->unread++;
			ask_write(e, 1 + random_below(1800));
		}
	}
}

static void ask_close(struct end *e)
{
	if (e->count < UNREAD_COUNT && random_below(2))
		ask_write(e, 1 + random_below(100));
	e->is_closing = true;
	ask(e, MP_CLOSE);
	CHECK_IS(mp_close(e->h), 0);
	CHECK_IS(mp_recv(e->h), -EBADF);
}

/* The memory of its writes is ours at once. */
static void leave(struct end *e, bool by_reset)
{
	CHECK_IS(mp_unregister(e->h), 0);
	gone(e, by_reset);
	for (; e->count > 0; e->count--) {
		free(e->queue[e->first].bytes);
		e->first = (e->first + 1) % MOST_QUEUED;
		e->other->is_torn = true;
	}
	if (e->id < MP_LWSOCKET_BASE)
		SYS(close(e->id));
	note(e, WRITES, " left");
}

/* An end goes, and nothing else happens to its link in this step. */
static void end_one(struct end *e)
{
	struct linger hard = { .l_onoff = 1 };

	if (!is_usable(e))
		return;
	switch (random_below(3)) {
	case 0:
		CHECK_IS(mp_setsockopt(e->h, SOL_SOCKET, SO_LINGER, &hard,
				       sizeof(hard)),
			 0);
		leave(e, true);
		break;
	case 1:
		leave(e, false);
		break;
	case 2:
		ask_close(e);
		break;
	}
}

static void do_step(void)
{
	if (nends == 0 || random_below(2) == 0)
		open_link();
	for (int i = 0; i < nends; i += 2) {
		if (random_below(20) == 0) {
			end_one(&ends[i + random_below(2)]);
			continue;
		}
		for (int n = random_below(5); n > 0; n--)
			ask_one(&ends[i + random_below(2)]);
	}
	/* last: opening a link waits for its own events only */
	for (int i = 0; i < BELLS; i++)
		use_bell(&bells[i]);
}

/* ------------------------------------------------------------------- run */

static void begin(void)
{
	ch = make_channel_with((struct mp_options){
		.buffers = 8,
		.buffer_size = 256,
		.batch = 1 + random_below(40),
		.completions = 1 << (3 + random_below(8)),
	});
	for (int i = 0; i < 2; i++) {
		listener_fds[i] = listen_tcp(AF_INET);
		prepare(listener_fds[i]);
		listeners[i] = make_handle(ch, listener_fds[i]);
		CHECK_IS(mp_accept(listeners[i], MP_ACCEPT_ALL, i == 1), 0);
	}
}

static void finish(void)
{
	struct mp_stats s = stats_of(ch);
	uint32_t open = 2, lwsockets = 0;

	for (int i = 0; i < nends; i++) {
		open += !ends[i].is_gone;
		lwsockets += !ends[i].is_gone && ends[i].id >= MP_LWSOCKET_BASE;
	}
	for (int i = 0; i < BELLS; i++)
		open += bells[i].h != NULL;
	CHECK_IS(s.handles, open);
	CHECK_IS(s.lwsockets, lwsockets);
	CHECK_IS(s.buffers_held, 0);
	mp_destroy(ch);
	for (int i = 0; i < nends; i++)
		for (; ends[i].count > 0; ends[i].count--) {
			free(ends[i].queue[ends[i].first].bytes);
			ends[i].first = (ends[i].first + 1) % MOST_QUEUED;
		}
}

void test(void)
{
	CHECK(argument != NULL);
	program = details = strtoul(argument, NULL, 10);
	begin();
	for (int step = 0; step < STEPS; step++) {
		do_step();
		settle();
		print_step(step);
	}
	finish();
}
