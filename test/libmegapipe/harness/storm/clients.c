/* SPDX-License-Identifier: MIT */
/*
 * The clients: threads with plain sockets. Each session is one connection: it
 * says something, checks what comes back, and leaves in one of many ways. A
 * server that never answers is found out here.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#include "storm.h"

struct session {
	struct dice *dice;
	int fd;
	unsigned int port;
	unsigned int listener;
	const char *kind;
	struct fate *fate;
	uint32_t serial;
	uint64_t sent, received, asked;
	bool is_over; /* the server has ended it, for a reason */
	int flags;    /* of send() */
	bool is_full; /* with MSG_DONTWAIT: no more can be sent */
};

#define FAIL(s, ...) session_failed(s, __LINE__, __VA_ARGS__)

_Noreturn static void session_failed(struct session *s, int line,
				     const char *what, int error)
{
	struct fate *f = s->fate;

	fprintf(stderr,
		"client, listener %u, session of kind %s from port %u, serial %u: sent %llu, asked for %llu, received %llu; "
		"accepted %u, torn %d, closed %d after %llu, consumed %llu; %s\n",
		s->listener, s->kind, s->port, s->serial,
		(unsigned long long)s->sent, (unsigned long long)s->asked,
		(unsigned long long)s->received, f->accepted, f->is_torn,
		f->is_closed, (unsigned long long)f->promised,
		(unsigned long long)f->consumed, strerror(error));
	fail(__FILE__, line, "%s", what);
}

static void rest(unsigned int us)
{
	struct timespec t = { .tv_nsec = us * 1000L };

	nanosleep(&t, NULL);
}

/* ------------------------------------------------------------- beginning */

static void prepare(int fd)
{
	struct timeval t = { .tv_sec = patience_us / 1000000 };
	const int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	SYS(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
	SYS(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)));
}

struct address unix_name(const char *kind, unsigned int number)
{
	struct address a = { .storage.ss_family = AF_UNIX };
	struct sockaddr_un *name = (struct sockaddr_un *)&a.storage;

	a.len = offsetof(struct sockaddr_un, sun_path) + 1 +
		sprintf(name->sun_path + 1, "storm-%d-%s-%u", shared->master,
			kind, number);
	return a;
}

/* The address is this storm's own. */
static struct address name_of_client(int family, unsigned int port)
{
	struct address a = { .len = sizeof(struct sockaddr_in) };

	if (family == AF_UNIX)
		return unix_name("client", port);
	*(struct sockaddr_in *)&a.storage = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr =
			htonl(0x7f010000 | (shared->master & 0xffff)),
		.sin_port = htons(port),
	};
	return a;
}

unsigned int port_of(const struct address *a)
{
	const struct sockaddr_un *name = (struct sockaddr_un *)&a->storage;
	int port = -1;

	if (a->storage.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&a->storage)->sin_port);
	CHECK_IS(a->storage.ss_family, AF_UNIX);
	CHECK_IS(sscanf(name->sun_path + 1, "storm-%*d-client-%d", &port), 1);
	CHECK(port > 0 && port < 1 << 16);
	return port;
}

/*
 * A port that wasn't used for long: the server may yet have to see what came
 * from it before.
 */
static unsigned int bind_anywhere(int fd, int family)
{
	struct address a;
	unsigned int port;

	do {
		port = 1024 + shared->next_port++ % (65536 - 1024);
		a = name_of_client(family, port);
	} while (bind(fd, (struct sockaddr *)&a.storage, a.len) &&
		 errno == EADDRINUSE);
	return port;
}

/* Before it connects: from then on a server may know the connection. */
int new_client(int family, unsigned int *port, uint32_t *serial)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct fate *f;

	if (fd < 0)
		return fd;
	*port = bind_anywhere(fd, family);
	f = &shared->fates[*port];
	f->is_left = f->has_fin = false;
	f->is_torn = f->is_closed = false;
	f->promised = f->consumed = f->sent = 0;
	*serial = ++f->serial;
	return fd;
}

static void begin_session(struct session *s)
{
	s->fd = SYS(
		new_client(plan.families[s->listener], &s->port, &s->serial));
	s->fate = &shared->fates[s->port];
	prepare(s->fd);
}

/*
 * Where listening handles come and go, who waited at one may be reset; and by
 * the kernel who found its queue full. Where fds are few, a server may not get
 * to know whom it has accepted before he says so.
 */
static bool may_be_refused(const struct session *s)
{
	return (plan.features & (REOPENS | FEW_FDS) || shared->has_died ||
		plan.backlogs[s->listener] <= (int)plan.clients) &&
	       s->received == 0 && s->fate->accepted != s->serial;
}

static void connect_session(struct session *s)
{
	struct address a = address_of(listener_fds[s->listener]);

	if (!connect(s->fd, (struct sockaddr *)&a.storage, a.len))
		return;
	if ((errno != ECONNREFUSED && errno != ECONNRESET) ||
	    !may_be_refused(s))
		FAIL(s, "can't connect", errno);
	shared->refused++;
	s->is_over = true;
}

/* ---------------------------------------------------------------- ending */

/*
 * Why may the server end it? It has torn it; or closed it after all that it
 * had promised; if we sent more than it took, the kernel resets and forgets.
 */
static bool may_end(const struct session *s)
{
	const struct fate *f = s->fate;

	if (f->is_torn || shared->has_died)
		return true;
	/* what was promised may have failed since */
	if (f->is_closed)
		return s->received == f->promised || s->sent > f->consumed ||
		       plan.features & FAILURES;
	return may_be_refused(s);
}

static void ended(struct session *s, int error)
{
	if (error == EAGAIN)
		FAIL(s, "no answer", error);
	if (error && error != ECONNRESET && error != EPIPE)
		FAIL(s, "an unknown end", error);
	if (!may_end(s))
		FAIL(s, "ended without a reason", error);
	s->is_over = true;
}

static void leave_by_reset(struct session *s)
{
	s->fate->is_left = true;
	reset(s->fd);
	s->fd = -1;
}

/* With something unread the kernel makes a reset of it. */
static void leave(struct session *s)
{
	if (s->received == s->asked && !s->is_over) {
		s->fate->sent = s->sent;
		s->fate->has_fin = true;
	}
	s->fate->is_left = true;
	SYS(close(s->fd));
	s->fd = -1;
}

/* ------------------------------------------------------ saying, listening */

/* Until so much has been received, or the server has ended it. */
static void listen_until(struct session *s, uint64_t until)
{
	char bytes[8192];

	while (s->received < until && !s->is_over) {
		ssize_t n =
			recv(s->fd, bytes, 1 + roll(s->dice, sizeof(bytes)), 0);

		if (n <= 0) {
			ended(s, n ? errno : 0);
			return;
		}
		check_filled(bytes, n, s->received);
		s->received += n;
		if (s->received > s->asked)
			FAIL(s, "more than was asked for", 0);
	}
}

/* What the server had said before it ended can be read still. */
static void cannot_say(struct session *s, int error)
{
	if (error == EPIPE || error == ECONNRESET)
		listen_until(s, s->asked);
	if (!s->is_over)
		ended(s, error);
}

static void say(struct session *s, const char *bytes, size_t size)
{
	while (size && !s->is_over) {
		size_t part = one_in(s->dice, 4) ? 1 + roll(s->dice, size) :
						   size;
		ssize_t n = send(s->fd, bytes, part, MSG_NOSIGNAL | s->flags);

		if (n < 0 && errno == EAGAIN && s->flags) {
			s->is_full = true;
			return;
		}
		if (n < 0) {
			cannot_say(s, errno);
			return;
		}
		s->sent += n;
		bytes += n;
		size -= n;
	}
}

static uint32_t any_size(struct dice *dice, uint32_t most)
{
	switch (roll(dice, 8)) {
	case 0:
		return 1 + roll(dice, most);
	case 1:
		return 1 + roll(dice, most / 8);
	default:
		return 1 + roll(dice, 1500);
	}
}

static void ask_for(struct session *s, uint32_t reply)
{
	struct request r = {
		.magic = REQUEST_MAGIC,
		.serial = s->serial,
		.port = s->port,
		.body = one_in(s->dice, 3) ? any_size(s->dice, BODY_MAX) : 0,
		.reply = reply,
	};
	char bytes[sizeof(r) + BODY_MAX];

	memcpy(bytes, &r, sizeof(r));
	fill(bytes + sizeof(r), r.body, s->sent + sizeof(r));
	s->asked += reply;
	say(s, bytes, sizeof(r) + r.body);
}

static void expect_end(struct session *s)
{
	char byte;
	ssize_t n;

	if (s->is_over)
		return;
	n = recv(s->fd, &byte, 1, 0);
	if (n > 0)
		FAIL(s, "more than was asked for", 0);
	if (n < 0 && errno == EAGAIN)
		FAIL(s, "the end doesn't come", errno);
	if (n < 0)
		ended(s, errno);
}

/* -------------------------------------------------------- kinds of session */

static void one_by_one(struct session *s)
{
	for (int n = 1 + roll(s->dice, 8); n && !s->is_over; n--) {
		ask_for(s, any_size(s->dice, REPLY_MAX / 4));
		listen_until(s, s->asked);
		if (one_in(s->dice, 8))
			rest(roll(s->dice, 3000));
	}
}

static void pipelined(struct session *s)
{
	for (int n = 1 + roll(s->dice, 100); n && !s->is_over; n--)
		ask_for(s, 1 + roll(s->dice, 700));
	listen_until(s, s->asked);
}

static void with_half_close(struct session *s)
{
	for (int n = 1 + roll(s->dice, 10); n && !s->is_over; n--)
		ask_for(s, any_size(s->dice, REPLY_MAX / 8));
	s->fate->sent = s->sent;
	s->fate->has_fin = !s->is_over;
	shutdown(s->fd, SHUT_WR);
	listen_until(s, s->asked);
	expect_end(s);
}

/* More than the buffers between the sides hold, so that writes wait. */
static void with_slow_reading(struct session *s)
{
	const int small = 32 << 10;

	SYS(setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)));
	ask_for(s, REPLY_MAX);
	for (int i = 0; i < 4 && !s->is_over; i++) {
		listen_until(s, s->received + 4000);
		rest(roll(s->dice, 3000));
	}
	if (one_in(s->dice, 2))
		listen_until(s, s->asked);
}

static void saying_nothing(struct session *s)
{
	if (one_in(s->dice, 2))
		rest(roll(s->dice, 3000));
}

static void cut_short(struct session *s)
{
	struct request r = { .magic = REQUEST_MAGIC,
			     .serial = s->serial,
			     .port = s->port,
			     .body = 1000 };

	say(s, (char *)&r, 1 + roll(s->dice, sizeof(r)));
	if (one_in(s->dice, 2))
		rest(roll(s->dice, 2000));
}

/*
 * Nor waiting for room: a server that closes waits for us to read, and would
 * take no more.
 */
static void not_reading(struct session *s)
{
	s->flags = MSG_DONTWAIT;
	for (int n = 1 + roll(s->dice, 100); n && !s->is_over && !s->is_full;
	     n--)
		ask_for(s, any_size(s->dice, REPLY_MAX));
	if (one_in(s->dice, 2))
		rest(roll(s->dice, 5000));
}

static void idle_between(struct session *s)
{
	rest(roll(s->dice, 20000));
	one_by_one(s);
}

static const struct {
	const char *name;
	void (*run)(struct session *s);
} kinds[] = {
	{ "one by one", one_by_one },
	{ "one by one", one_by_one },
	{ "pipelined", pipelined },
	{ "half close", with_half_close },
	{ "slow reading", with_slow_reading },
	{ "saying nothing", saying_nothing },
	{ "cut short", cut_short },
	{ "not reading", not_reading },
	{ "idle between", idle_between },
};

static void run_session(struct dice *dice)
{
	unsigned int kind = roll(dice, sizeof(kinds) / sizeof(*kinds));
	struct session s = {
		.dice = dice,
		.kind = kinds[kind].name,
		.listener = roll(dice, plan.listeners),
	};

	begin_session(&s);
	connect_session(&s);
	if (!s.is_over)
		kinds[kind].run(&s);
	shared->sessions++;
	shared->served += s.received == s.asked && s.asked;
	if (one_in(dice, 4))
		leave_by_reset(&s);
	else
		leave(&s);
}

static void *run_client(void *number)
{
	struct dice dice = dice_of(plan.seed, 1000 + (uintptr_t)number);

	for (unsigned int i = 0; i < plan.sessions; i++)
		run_session(&dice);
	return NULL;
}

_Noreturn void run_clients_process(void)
{
	pthread_t threads[MOST_CLIENTS];

	for (uintptr_t i = 0; i < plan.clients; i++)
		CHECK_IS(pthread_create(&threads[i], NULL, run_client,
					(void *)i),
			 0);
	for (unsigned int i = 0; i < plan.clients; i++)
		CHECK_IS(pthread_join(threads[i], NULL), 0);
	exit(0);
}
