/* SPDX-License-Identifier: MIT */
/*
 * Random use of the module, by a seed.
 *
 *	fuzz kernel SEED[:STEPS]
 *
 * Processes, one after another, the next one with the next seed, each with a
 * channel: files of all kinds are registered, their other ends are written,
 * read, shut down, reset and closed (by another thread, too), connections
 * accepted, commands asked for by the batch. Some members are wrong, some
 *memory isn't there or goes meanwhile, the limit of files comes and goes;
 *children that use the same files and dying processes are in between. Some are
 *another user, some in a network that goes with them. Every second process is
 *strict: it leaves out what makes completions get lost, and counts that each
 *operation has one, and none comes after its handle's end. The last lines tell
 *how far it got.
 *
 * A long run, of hundreds of thousands of steps:
 *
 *	npx megapipe vm --kernel 6.12 --kernel-option slub_debug=FZPU \
 *		--time-limit 3600 -- build/test/kernel/fuzz kernel 1:500000
 */
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "channel.h"
#include "machine.h"
#include "nowhere.h"
#include "processes.h"

#define STEPS 1500
#define STEPS_A_PROCESS 250
#define MOST_THINGS 60
#define MOST_COMMANDS 40
#define MOST_CHILDREN 4
#define BUFFERS 16
#define BUFFER_SIZE 512
#define PIECES 16
#define PIECE (64 << 10)
#define PLACES (64 << 10)
#define BEHIND ((size_t)1 << (sizeof(long) == 8 ? 33 : 28))
#define LANES 3
#define OPS (MEGAPIPE_OP_CONNECT + 1)
#define ERRNOS 134

/* ----------------------------------------------------------- what happened */

struct seen {
	unsigned long completions[OPS], refusals[OPS];
	unsigned long errors[ERRNOS];
	unsigned long runs, interrupted, ioctls, things, children, killed;
};

static struct seen *seen; /* shared by all processes */

static void saw_error(int64_t result)
{
	if (result < 0 && result > -ERRNOS)
		__atomic_add_fetch(&seen->errors[-result], 1, __ATOMIC_RELAXED);
}

static const char *const op_names[OPS] = {
	[MEGAPIPE_OP_ACCEPT] = "ACCEPT",
	[MEGAPIPE_OP_READ] = "READ",
	[MEGAPIPE_OP_RECV] = "RECV",
	[MEGAPIPE_OP_RECVMSG] = "RECVMSG",
	[MEGAPIPE_OP_WRITE] = "WRITE",
	[MEGAPIPE_OP_SENDMSG] = "SENDMSG",
	[MEGAPIPE_OP_DISCONNECT] = "DISCONNECT",
	[MEGAPIPE_OP_POLL] = "POLL",
	[MEGAPIPE_OP_CANCEL] = "CANCEL",
	[MEGAPIPE_OP_CLOSE] = "CLOSE",
	[MEGAPIPE_OP_COOKIE] = "COOKIE",
	[MEGAPIPE_OP_CONNECT] = "CONNECT",
};

static void print_seen(void)
{
	printf("%lu runs, %lu other ioctls, %lu files and lwsockets, %lu children, %lu killed\n",
	       seen->runs, seen->ioctls, seen->things, seen->children,
	       seen->killed);
	for (int op = 1; op < OPS; op++)
		printf("%s %lu (refused %lu)%s", op_names[op],
		       seen->completions[op], seen->refusals[op],
		       op == OPS - 1 ? "\n" : ", ");
	for (int e = 1; e < ERRNOS; e++)
		if (seen->errors[e])
			printf("%s %lu, ", strerrorname_np(e), seen->errors[e]);
	printf("no other errors\n");
}

/* ----------------------------------------------------------------- chance */

static uint64_t chance;

static uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

static uint32_t below(uint32_t n)
{
	return next_random(&chance) % n;
}

static bool one_in(uint32_t n)
{
	return below(n) == 0;
}

/* Mostly small, sometimes at a border, sometimes anything. */
static uint32_t any_number(void)
{
	static const uint32_t borders[] = { 0,	   1,	      4095,
					    65536, INT32_MAX, UINT32_MAX };

	if (one_in(8))
		return next_random(&chance) << 1 | below(2);
	if (one_in(4))
		return borders[below(6)];
	return below(1 << below(18));
}

/* ----------------------------------------------------------------- memory */

static char *arena;	 /* PIECES pieces, some of which come and go */
static struct pool pool; /* the last piece is the buffers' */
static bool is_strict;

static char *piece_at(int n)
{
	return arena + (size_t)n * PIECE;
}

/* With nothing behind it for as far as lengths may go. */
static void *memory_of(size_t size)
{
	void *memory = mmap(NULL, size + BEHIND, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(memory != MAP_FAILED);
	SYS(mprotect(memory, size, PROT_READ | PROT_WRITE));
	return memory;
}

static void disturb_memory(void)
{
	char *piece = piece_at(below(PIECES));

	switch (below(4)) {
	case 0:
		munmap(piece, PIECE);
		break;
	case 1:
		mprotect(piece, PIECE, one_in(2) ? PROT_READ : PROT_NONE);
		break;
	default:
		mmap(piece, PIECE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	}
}

static uint64_t any_address(void)
{
	if (one_in(30))
		return nowhere[below(NOWHERES)];
	return ADDRESS(arena + below(PIECES * PIECE));
}

/*
 * Another thread does so at any time, also in the midst of an operation. What
 * goes keeps its place, lest somebody else's memory gets there.
 */
static void take_memory_away(uint64_t *state)
{
	char *piece = piece_at(next_random(state) % PIECES);
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

	switch (next_random(state) % 4) {
	case 0:
		madvise(piece, PIECE, MADV_DONTNEED);
		break;
	case 1:
		mprotect(piece, PIECE, PROT_READ);
		break;
	case 2:
		mmap(piece, PIECE, PROT_NONE, flags, -1, 0);
		break;
	default:
		mmap(piece, PIECE, PROT_READ | PROT_WRITE, flags, -1, 0);
	}
}

/* Structures that are to be read: there, if they are to be there at all. */
static char *places;

static void *new_place(size_t size)
{
	static size_t used;

	size = (size + 15) & ~(size_t)15;
	if (used + size > PLACES)
		used = 0;
	used += size;
	return places + used - size;
}

static struct iovec *any_vector(uint32_t *count)
{
	struct iovec *iov;

	*count = 1 + below(5);
	iov = new_place(*count * sizeof(*iov));
	for (uint32_t i = 0; i < *count; i++)
		iov[i] = (struct iovec){
			(void *)(uintptr_t)any_address(),
			one_in(30) ? any_number() : below(9000),
		};
	if (one_in(30))
		*count = any_number();
	return iov;
}

/* ----------------------------------------------------------------- things */

enum kind {
	LISTENER,
	CONNECTION,
	UNIX_STREAM,
	UNIX_DATAGRAMS,
	UNIX_PACKETS,
	UDP,
	PIPE,
	EVENTS,
	TIMER,
	SIGNALS,
	EPOLL,
	KINDS,
	LWSOCKET = KINDS,
};

/* What has a handle. Its cookie is its number, which is never used again. */
struct thing {
	uint32_t number; /* 0: none */
	uint32_t handle;
	enum kind kind;
	int fd, peer; /* or -1 */
	int in_flight[LANES];
	bool planned[LANES], will_close; /* in this batch */
	bool is_closing, is_silent, closes_fd;
};

static int ch;
static struct thing things[MOST_THINGS];
static uint32_t last_number;
static uint32_t stale; /* a handle that was one */

static struct thing *free_thing(void)
{
	for (int i = 0; i < MOST_THINGS; i++)
		if (!things[i].number)
			return &things[i];
	return NULL;
}

static struct thing *thing_of(uint32_t number)
{
	for (int i = 0; number && i < MOST_THINGS; i++)
		if (things[i].number == number)
			return &things[i];
	return NULL;
}

static struct thing *any_thing(void)
{
	struct thing *t = &things[below(MOST_THINGS)];

	for (int i = 0; i < MOST_THINGS; i++, t++) {
		if (t == things + MOST_THINGS)
			t = things;
		if (t->number)
			return t;
	}
	return NULL;
}

static void close_peer(struct thing *t)
{
	const struct linger hard = { .l_onoff = 1 };

	if (t->peer < 0)
		return;
	if (one_in(3))
		setsockopt(t->peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(t->peer);
	t->peer = -1;
}

/* The handle is no more. */
static void forget(struct thing *t)
{
	stale = t->handle;
	close_peer(t);
	if (t->fd >= 0 && !t->closes_fd)
		close(t->fd);
	*t = (struct thing){ .fd = -1, .peer = -1 };
}

static void open_pair(enum kind kind, int pair[2])
{
	switch (kind) {
	case CONNECTION:
		tcp_pair(pair);
		small_buffers(pair);
		break;
	case UDP:
		udp_pair(pair);
		break;
	case PIPE:
		SYS(pipe2(pair, O_CLOEXEC | O_NONBLOCK));
		if (one_in(2)) {
			int reader = pair[0];

			pair[0] = pair[1];
			pair[1] = reader;
		}
		return;
	case UNIX_STREAM:
		unix_pair(pair, SOCK_STREAM);
		break;
	case UNIX_PACKETS:
		unix_pair(pair, SOCK_SEQPACKET);
		break;
	default:
		unix_pair(pair, SOCK_DGRAM);
	}
	fcntl(pair[1], F_SETFL, O_NONBLOCK);
}

static int open_single(enum kind kind)
{
	const struct itimerspec soon = {
		.it_interval.tv_nsec = 3000000,
		.it_value.tv_nsec = 1000000,
	};
	sigset_t set;
	int fd;

	switch (kind) {
	case LISTENER:
		return listen_tcp(one_in(4) ? AF_INET6 : AF_INET);
	case EVENTS:
		return SYS(eventfd(below(3), EFD_CLOEXEC));
	case TIMER:
		fd = SYS(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
		SYS(timerfd_settime(fd, 0, &soon, NULL));
		return fd;
	case SIGNALS:
		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		return SYS(signalfd(-1, &set, SFD_CLOEXEC));
	default: /* EPOLL */
		return SYS(epoll_create1(EPOLL_CLOEXEC));
	}
}

static bool is_pair(enum kind kind)
{
	return kind >= CONNECTION && kind <= PIPE;
}

static void open_thing(void)
{
	struct thing *t = free_thing();
	int pair[2] = { -1, -1 };
	uint32_t handle;

	if (!t)
		return;
	*t = (struct thing){
		.kind = one_in(5) ? LISTENER : below(KINDS),
	};
	if (is_pair(t->kind))
		open_pair(t->kind, pair);
	else
		pair[0] = open_single(t->kind);
	t->fd = pair[0];
	t->peer = pair[1];
	t->number = ++last_number;
	if (try_add(ch, t->fd, t->number, &handle) < 0) {
		forget(t);
		return;
	}
	t->handle = handle;
	seen->things++;
}

static void add_lwsocket(uint32_t handle)
{
	struct thing *t = free_thing();

	if (!t) {
		TRY(ch, CLOSE, handle, .arg = -1, .flags = MEGAPIPE_F_SILENT);
		return;
	}
	*t = (struct thing){
		.kind = LWSOCKET,
		.number = ++last_number,
		.handle = handle,
		.fd = -1,
		.peer = -1,
	};
	ASK(ch, COOKIE, handle, .addr = t->number);
	seen->things++;
}

/* A client's end of a connection; belongs to a thing, any. */
static void connect_somewhere(void)
{
	struct thing *listener = any_thing(), *keeper = any_thing();
	struct address a;
	int fd;

	for (int i = 0; i < MOST_THINGS; i++)
		if (things[i].number && things[i].kind == LISTENER && one_in(2))
			listener = &things[i];
	if (!listener || listener->kind != LISTENER || listener->is_closing)
		return;
	a = address_of(listener->fd);
	fd = SYS(socket(a.storage.ss_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	small_buffers((int[2]){ fd, fd });
	(void)!connect(fd, (struct sockaddr *)&a.storage, a.len);
	if (keeper->peer < 0)
		keeper->peer = fd;
	else
		close(fd);
}

/* ------------------------------------------------------------ other ends */

static void use_peer(int fd, uint64_t *state)
{
	static char bytes[128 << 10];
	size_t size = next_random(state) % (1u << (next_random(state) % 18));

	if (fd < 0)
		return;
	switch (next_random(state) % 8) {
	case 0:
		shutdown(fd, next_random(state) % 3);
		break;
	case 1:
	case 2:
	case 3:
		if (send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
		    errno == ENOTSOCK)
			(void)!write(fd, bytes, size);
		break;
	default:
		if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) < 0 &&
		    errno == ENOTSOCK)
			(void)!read(fd, bytes, sizeof(bytes));
	}
}

/*
 * Another thread does so at any time. It may use a descriptor that is another
 * thing's by then: sockets only, and never to wait.
 */
static bool is_over;

static void *disturb_peers(void *arg)
{
	uint64_t state = *(uint64_t *)arg;
	static char bytes[30000];

	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		int fd = things[next_random(&state) % MOST_THINGS].peer;

		if (next_random(&state) % 2)
			send(fd, bytes, next_random(&state) % sizeof(bytes),
			     MSG_DONTWAIT | MSG_NOSIGNAL);
		else
			recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (next_random(&state) % 4 == 0)
			take_memory_away(&state);
		if (next_random(&state) % 8 == 0)
			poll(NULL, 0, 1);
	}
	return NULL;
}

static void ring_something(void)
{
	const uint64_t one = 1 + below(3);
	struct thing *t = any_thing();

	if (t && t->kind == EVENTS)
		(void)!write(t->fd, &one, sizeof(one));
	if (t && t->kind == SIGNALS)
		kill(getpid(), SIGUSR1);
	if (t && t->kind == EPOLL) {
		struct thing *other = any_thing();
		struct epoll_event event = { .events = EPOLLIN | EPOLLOUT };

		epoll_ctl(t->fd, one == 1 ? EPOLL_CTL_DEL : EPOLL_CTL_ADD,
			  other->fd, &event);
	}
}

/* --------------------------------------------------------------- commands */

static const uint8_t lane_of[OPS] = {
	[MEGAPIPE_OP_ACCEPT] = 1,     [MEGAPIPE_OP_READ] = 1,
	[MEGAPIPE_OP_RECV] = 1,	      [MEGAPIPE_OP_RECVMSG] = 1,
	[MEGAPIPE_OP_WRITE] = 2,      [MEGAPIPE_OP_SENDMSG] = 2,
	[MEGAPIPE_OP_DISCONNECT] = 2, [MEGAPIPE_OP_CONNECT] = 2,
	[MEGAPIPE_OP_POLL] = 3,
};

static uint8_t any_op(const struct thing *t)
{
	static const uint8_t usual[] = {
		MEGAPIPE_OP_READ,    MEGAPIPE_OP_READ,	  MEGAPIPE_OP_RECV,
		MEGAPIPE_OP_RECV,    MEGAPIPE_OP_RECVMSG, MEGAPIPE_OP_WRITE,
		MEGAPIPE_OP_WRITE,   MEGAPIPE_OP_SENDMSG, MEGAPIPE_OP_POLL,
		MEGAPIPE_OP_POLL,    MEGAPIPE_OP_CANCEL,  MEGAPIPE_OP_COOKIE,
		MEGAPIPE_OP_CONNECT,
	};

	if (t && t->kind == LISTENER && !one_in(8))
		return MEGAPIPE_OP_ACCEPT;
	if (one_in(30))
		return MEGAPIPE_OP_DISCONNECT;
	if (one_in(40))
		return MEGAPIPE_OP_CLOSE;
	return one_in(200) ? below(256) : usual[below(sizeof(usual))];
}

static void set_message(struct megapipe_command *c)
{
	struct msghdr *msg = new_place(sizeof(*msg));
	uint32_t count;

	*msg = (struct msghdr){ .msg_iov = any_vector(&count) };
	msg->msg_iovlen = count;
	if (one_in(3)) {
		msg->msg_name = one_in(20) ? (void *)(uintptr_t)any_address() :
					     new_place(128);
		msg->msg_namelen = one_in(4) ? any_number() : 128;
	}
	if (one_in(3)) {
		msg->msg_control = one_in(20) ?
					   (void *)(uintptr_t)any_address() :
					   new_place(256);
		msg->msg_controllen = one_in(20) ? any_number() : below(256);
	}
	c->addr = one_in(30) ? any_address() : ADDRESS(msg);
	c->arg = one_in(4) ? 1u << below(32) : 0;
}

static void set_memory(struct megapipe_command *c)
{
	uint32_t count;

	if (one_in(3)) {
		c->addr = one_in(30) ? any_address() :
				       ADDRESS(any_vector(&count));
		c->len = one_in(30) ? any_number() : 1 + below(5);
		c->flags = MEGAPIPE_F_VECTOR;
	} else {
		c->addr = any_address();
		c->len = one_in(10) ? any_number() : below(20000);
	}
}

static void set_members(struct megapipe_command *c, struct thing *t)
{
	static const uint32_t polls[] = { POLLIN, POLLOUT, POLLRDHUP,
					  POLLIN | POLLOUT };

	switch (c->op) {
	case MEGAPIPE_OP_ACCEPT:
		c->len = below(4);
		c->flags = (one_in(2) ? MEGAPIPE_F_PEER : 0) |
			   (one_in(4) ? MEGAPIPE_F_NOWAIT : 0);
		break;
	case MEGAPIPE_OP_READ:
	case MEGAPIPE_OP_WRITE:
		set_memory(c);
		break;
	case MEGAPIPE_OP_RECVMSG:
	case MEGAPIPE_OP_SENDMSG:
		set_message(c);
		break;
	case MEGAPIPE_OP_DISCONNECT:
		c->arg = below(3);
		break;
	case MEGAPIPE_OP_POLL:
		c->arg = polls[below(4)];
		c->flags = one_in(8) ? MEGAPIPE_F_NOWAIT : 0;
		break;
	case MEGAPIPE_OP_CANCEL:
		c->arg = below(8);
		break;
	case MEGAPIPE_OP_CLOSE:
		c->arg = t && t->fd >= 0 && one_in(2) ? (uint32_t)t->fd : -1u;
		c->flags = one_in(2) ? MEGAPIPE_F_SILENT : 0;
		break;
	case MEGAPIPE_OP_COOKIE:
		c->addr = t ? t->number | (uint64_t)below(1000) << 32 : 0;
		break;
	}
}

static bool is_socket(const struct thing *t)
{
	return t->kind <= UDP || t->kind == LWSOCKET;
}

/* Would the module take it? Most commands are to get that far. */
static bool is_apt(const struct thing *t, uint8_t op)
{
	int lane = op < OPS ? lane_of[op] - 1 : -1;

	if (t->is_closing || t->will_close || op >= OPS)
		return false;
	if (!is_socket(t) &&
	    (op == MEGAPIPE_OP_RECVMSG || op == MEGAPIPE_OP_SENDMSG ||
	     op == MEGAPIPE_OP_CONNECT || op == MEGAPIPE_OP_DISCONNECT))
		return false;
	return lane < 0 || (!t->in_flight[lane] && !t->planned[lane]);
}

static struct thing *choose(uint8_t *op)
{
	struct thing *t = NULL;
	int tries;

	for (tries = 0; tries < 10; tries++) {
		t = any_thing();
		*op = any_op(t);
		if (!t || is_apt(t, *op))
			break;
	}
	if (!t || tries == 10)
		return t;
	if (*op == MEGAPIPE_OP_CLOSE)
		t->will_close = true;
	else if (lane_of[*op])
		t->planned[lane_of[*op] - 1] = true;
	return t;
}

static struct megapipe_command any_command(void)
{
	uint8_t op;
	struct thing *t = choose(&op);
	struct megapipe_command c = {
		.op = op,
		.handle = t ? t->handle : stale,
	};

	if (one_in(200)) {
		c.handle = one_in(2) ? stale : any_number();
		if (is_strict) /* not to change whose it may be */
			c.op = MEGAPIPE_OP_CANCEL;
	}
	if (c.op < OPS)
		set_members(&c, t);
	if (one_in(300) && c.op != MEGAPIPE_OP_ACCEPT)
		c.flags = below(256);
	if (one_in(300))
		c.reserved = any_number();
	if (one_in(300) && c.op != MEGAPIPE_OP_COOKIE)
		c.arg = any_number();
	return c;
}

/* -------------------------------------------------------------- a batch */

static void took(const struct megapipe_command *c)
{
	struct thing *t = NULL;

	for (int i = 0; i < MOST_THINGS; i++)
		if (things[i].number && things[i].handle == c->handle &&
		    !things[i].is_closing)
			t = &things[i];
	if (!t)
		return;
	if (lane_of[c->op])
		t->in_flight[lane_of[c->op] - 1]++;
	if (c->op == MEGAPIPE_OP_CLOSE) {
		t->is_closing = true;
		t->is_silent = c->flags & MEGAPIPE_F_SILENT;
		t->closes_fd = t->fd >= 0 && c->arg == (uint32_t)t->fd;
	}
}

static void check_completion(const struct megapipe_completion *c)
{
	struct thing *t = thing_of(c->cookie);
	bool has_more = c->flags & MEGAPIPE_C_MORE;

	CHECK(c->op > 0 && c->op < OPS);
	if (!is_strict)
		return;
	if (!t)
		fail(__FILE__, __LINE__,
		     "op %d completes, %lld, for nobody: cookie %llx", c->op,
		     (long long)c->result, (unsigned long long)c->cookie);
	if (c->op == MEGAPIPE_OP_CLOSE) {
		CHECK(t->is_closing && !t->is_silent);
		return;
	}
	CHECK(lane_of[c->op] > 0);
	CHECK(t->in_flight[lane_of[c->op] - 1] > 0);
	CHECK(!has_more || (c->op == MEGAPIPE_OP_ACCEPT && c->result >= 0));
}

static void completed(const struct megapipe_completion *c)
{
	struct thing *t = thing_of(c->cookie);

	check_completion(c);
	seen->completions[c->op]++;
	saw_error(c->result);
	if (c->op == MEGAPIPE_OP_RECV && c->result > 0 && pool.stack &&
	    c->info < pool.count && pool.stack->count < pool.count)
		give_back(&pool, c->info);
	if (t && lane_of[c->op] && !(c->flags & MEGAPIPE_C_MORE))
		t->in_flight[lane_of[c->op] - 1]--;
	if (t && c->op == MEGAPIPE_OP_ACCEPT && c->result >= 0)
		add_lwsocket(c->result);
	if (t && c->op == MEGAPIPE_OP_CLOSE) {
		for (int i = 0; is_strict && i < LANES; i++)
			CHECK_IS(t->in_flight[i], 0);
		forget(t);
	}
}

/* Silent ends take effect for us when all of the call has been looked at. */
static void forget_silent(void)
{
	for (int i = 0; i < MOST_THINGS; i++)
		if (things[i].number && things[i].is_closing &&
		    things[i].is_silent)
			forget(&things[i]);
}

static void run_batch(uint32_t count, uint32_t max, int64_t timeout_ns)
{
	struct megapipe_command commands[MOST_COMMANDS];
	struct megapipe_completion got[MOST_COMMANDS];
	struct megapipe_run run = {
		.commands = ADDRESS(commands),
		.ncommands = count,
		.completions = ADDRESS(got),
		.max = max,
		.timeout_ns = timeout_ns,
		.min = max ? below(max + 1) : 0,
		.min_wait_ns = below(200000),
	};
	int r;

	for (int i = 0; i < MOST_THINGS; i++) {
		memset(things[i].planned, 0, sizeof(things[i].planned));
		things[i].will_close = false;
	}
	for (uint32_t i = 0; i < count; i++)
		commands[i] = any_command();
	if (!is_strict && one_in(20))
		run.completions = nowhere[below(NOWHERES)];
	if (one_in(50))
		run.commands = nowhere[below(NOWHERES)];
	r = try_run(ch, &run);
	seen->runs++;
	saw_error(r);
	CHECK(run.done <= count && run.stored <= max);
	if (run.done < count && commands[run.done].op < OPS)
		seen->refusals[commands[run.done].op]++;
	for (uint32_t i = 0; i < run.done; i++)
		took(&commands[i]);
	if (r == -EFAULT && run.completions != ADDRESS(got))
		run.stored = 0;
	for (uint32_t i = 0; i < run.stored; i++)
		completed(&got[i]);
	forget_silent();
}

static void any_batch(void)
{
	uint32_t max = one_in(5) ? below(3) : below(MOST_COMMANDS);

	run_batch(below(1 + below(MOST_COMMANDS)), max,
		  one_in(3) ? below(2000000) : 0);
}

/* ---------------------------------------------------------- other ioctls */

static void call_socket(void)
{
	static const int levels[] = { SOL_SOCKET, IPPROTO_TCP, IPPROTO_IP,
				      IPPROTO_IPV6, 282 /* SOL_TLS */ };
	struct thing *t = any_thing();
	struct megapipe_socket call = {
		.handle = t && !one_in(20) ? t->handle : any_number(),
		.call = one_in(20) ? any_number() : 1 + below(4),
		.value = one_in(10) ? any_address() : ADDRESS(new_place(512)),
		.len = one_in(10) ? any_number() : below(512),
	};

	if (call.call <= MEGAPIPE_GETSOCKOPT) {
		call.level = one_in(20) ? (int)any_number() : levels[below(5)];
		call.name = below(80);
	}
	/* it would have a signal sent, or block */
	if (call.level == SOL_SOCKET && call.call == MEGAPIPE_SETSOCKOPT &&
	    call.name > SO_KEEPALIVE)
		call.call = MEGAPIPE_GETSOCKOPT;
	saw_error(try_ioctl(ch, MEGAPIPE_IOC_SOCKET, &call));
}

static void give_fd(void)
{
	struct thing *t = any_thing();
	struct megapipe_fd arg = {
		.handle = t ? t->handle : stale,
		.reserved = one_in(50),
	};
	int fd = try_ioctl(ch, MEGAPIPE_IOC_FD, &arg);

	saw_error(fd);
	if (fd < 0)
		return;
	if (one_in(2) && t && t->peer < 0) {
		fcntl(fd, F_SETFL, O_NONBLOCK);
		t->peer = fd;
	} else {
		close(fd);
	}
}

static void scribble_stack(void)
{
	if (!pool.stack)
		return;
	if (!one_in(3)) {
		pool.stack->count = 0;
		for (uint32_t i = 0; i < pool.count; i++)
			give_back(&pool, i);
	} else if (!is_strict) {
		pool.stack->count = any_number();
		pool.stack->numbers[below(BUFFERS)] = any_number();
	}
}

static void random_ioctl(void)
{
	uint64_t words[16];
	/* not END, nor what makes handles that nobody knows of */
	static const unsigned long requests[] = {
		MEGAPIPE_IOC_INFO,   MEGAPIPE_IOC_SETUP, MEGAPIPE_IOC_BUFFERS,
		MEGAPIPE_IOC_SOCKET, MEGAPIPE_IOC_STATS,
	};
	unsigned long request = requests[below(5)];
	char *end = (char *)(words + 16) - _IOC_SIZE(request);

	for (int i = 0; i < 16; i++)
		words[i] = one_in(2) ? any_number() : any_address();
	if (one_in(10))
		request ^= 1ul << below(32);
	if (_IOC_NR(request) == _IOC_NR(MEGAPIPE_IOC_END) ||
	    _IOC_NR(request) == _IOC_NR(MEGAPIPE_IOC_REGISTER) ||
	    _IOC_NR(request) == _IOC_NR(MEGAPIPE_IOC_RUN) ||
	    _IOC_TYPE(request) != MEGAPIPE_IOC ||
	    (request == MEGAPIPE_IOC_BUFFERS && is_strict))
		return;
	saw_error(
		try_ioctl(ch, request,
			  one_in(4) ? (void *)(uintptr_t)any_address() : end));
}

/* The limit comes and goes; what is open stays open. */
static void limit_files(bool is_low)
{
	static struct rlimit limit;

	if (!limit.rlim_max)
		SYS(getrlimit(RLIMIT_NOFILE, &limit));
	SYS(setrlimit(RLIMIT_NOFILE,
		      &(struct rlimit){ is_low ? below(64) : limit.rlim_cur,
					limit.rlim_max }));
}

static void any_ioctl(void)
{
	bool is_low = one_in(4);

	seen->ioctls++;
	if (is_low)
		limit_files(true);
	switch (below(4)) {
	case 0:
		call_socket();
		break;
	case 1:
		give_fd();
		break;
	case 2:
		scribble_stack();
		break;
	default:
		random_ioctl();
	}
	if (is_low)
		limit_files(false);
}

/* -------------------------------------------------------------- processes */

static int children;

/* Whoever has the same files uses them, too: the channel is none of his. */
static void share(void *arg)
{
	uint64_t state = chance;

	(void)arg;
	for (int i = 0; i < 200; i++) {
		struct thing *t = &things[next_random(&state) % MOST_THINGS];

		if (is_pair(t->kind) || t->kind == LISTENER)
			use_peer(t->fd, &state);
		if (t->kind == LISTENER && t->fd >= 0) {
			fcntl(t->fd, F_SETFL, O_NONBLOCK);
			close(accept(t->fd, NULL, NULL));
		}
		saw_error(try_ioctl(ch, MEGAPIPE_IOC_STATS, places));
	}
	if (one_in(2))
		raise(SIGKILL);
}

static void misuse(void *arg)
{
	struct megapipe_run run = { .timeout_ns = NS_PER_MS, .max = 1 };

	(void)arg;
	CHECK_IS(try_run(ch, &run), -EPERM);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_END, NULL), -EPERM);
	poll(NULL, 0, below(20));
	if (one_in(2))
		raise(SIGKILL);
}

static void reap(int options)
{
	int status;
	pid_t pid;

	while (children && (pid = waitpid(-1, &status, options)) > 0) {
		children--;
		CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	}
}

static void have_child(void)
{
	reap(WNOHANG);
	if (children == MOST_CHILDREN)
		return;
	start(one_in(2) ? misuse : share, NULL);
	children++;
	seen->children++;
}

static void swap_descriptor(void)
{
	int other = fcntl(ch, F_DUPFD_CLOEXEC, 0);

	if (one_in(8))
		SYS(unshare(CLONE_FILES));
	close(ch);
	ch = other;
}

static void send_channel(void)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET,
				  SCM_RIGHTS } };
	struct iovec iov = { "f", 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct thing *t = any_thing();

	memcpy(CMSG_DATA(&control.header), &ch, sizeof(ch));
	if (t && t->peer >= 0)
		(void)!sendmsg(t->peer, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void any_step(void)
{
	struct thing *t;

	switch (below(20)) {
	case 0:
	case 1:
	case 2:
		open_thing();
		break;
	case 3:
	case 4:
		connect_somewhere();
		break;
	case 5:
	case 6:
		t = any_thing();
		if (t)
			use_peer(t->peer, &chance);
		break;
	case 7:
		t = any_thing();
		if (t)
			close_peer(t);
		break;
	case 8:
		ring_something();
		break;
	case 9:
		disturb_memory();
		break;
	case 10:
	case 11:
		any_ioctl();
		break;
	case 12:
		if (one_in(6))
			have_child();
		else if (one_in(6))
			swap_descriptor();
		else if (one_in(6))
			send_channel();
		break;
	default:
		any_batch();
	}
}

/* Everything that was asked for is to come to something. */
static void settle(void)
{
	struct megapipe_completion c;
	struct megapipe_run run = {
		.completions = ADDRESS(&c),
		.max = 1,
		.timeout_ns = PATIENCE_NS,
	};

	for (int i = 0; i < MOST_THINGS; i++) {
		struct thing *t = &things[i];
		int left = 0;

		if (!t->number)
			continue;
		if (!t->is_closing) {
			CHECK_IS(TRY(ch, CLOSE, t->handle, .arg = -1), 0);
			t->is_closing = true;
			t->is_silent = false;
		}
		for (int lane = 0; lane < LANES; lane++)
			left += t->in_flight[lane];
		while (t->number) {
			if (try_run(ch, &run) != 0)
				fail(__FILE__, __LINE__,
				     "%d operations of a kind %d have come to nothing",
				     left, t->kind);
			completed(&c);
		}
	}
}

/* In a network of its own, which goes with the process. */
static void leave_network(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (unshare(CLONE_NEWNET))
		return;
	fd = SYS(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	SYS(ioctl(fd, SIOCSIFFLAGS, &lo));
	SYS(close(fd));
}

/* One of several users, in one of several networks. */
static void be_somebody(void)
{
	if (one_in(3))
		leave_network();
	if (geteuid() == 0 && one_in(3))
		become(NOBODY - below(2));
}

static void be_process(void *arg)
{
	pthread_t other;
	uint64_t seed = *(uint64_t *)arg, others = ~seed;

	chance = seed * 0x9e3779b97f4a7c15;
	is_strict = seed % 2;
	be_somebody();
	for (int i = 0; i < MOST_THINGS; i++)
		things[i] = (struct thing){ .fd = -1, .peer = -1 };
	arena = memory_of(PIECES * PIECE);
	places = memory_of(PLACES);
	ch = make_channel_of(1 + below(40));
	if (one_in(4))
		give_buffers(ch, 1, 1);
	else
		pool = give_buffers(ch, BUFFERS, BUFFER_SIZE);
	CHECK_IS(pthread_create(&other, NULL, disturb_peers, &others), 0);
	for (int i = 0; i < MOST_THINGS / 3; i++)
		open_thing();
	for (int i = 0; i < STEPS_A_PROCESS; i++)
		any_step();
	if (is_strict)
		settle();
	__atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
	CHECK_IS(pthread_join(other, NULL), 0);
	reap(0);
	if (one_in(2))
		SYS(close(ch));
}

static void one_process(uint64_t seed)
{
	static char name[100];
	uint64_t fate = seed * 0x9e3779b97f4a7c15;
	pid_t child;

	snprintf(name, sizeof(name), "kernel, seed %llu:1",
		 (unsigned long long)seed);
	engine = name; /* for what fails */
	child = start(be_process, &seed);

	alarm(300);
	next_random(&fate);
	if (next_random(&fate) % 5 == 0) {
		poll(NULL, 0, next_random(&fate) % 150);
		end(child);
		seen->killed++;
	} else {
		passes(child);
	}
}

void test(void)
{
	const char *after = argument ? strchr(argument, ':') : NULL;
	uint64_t seed = argument ? strtoull(argument, NULL, 10) : 1;
	long steps = after ? atol(after + 1) : STEPS;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	if (geteuid() == 0)
		SYS(chmod(MEGAPIPE_DEVICE, 0666));
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(seen != MAP_FAILED);
	printf("seed %llu, %ld steps\n", (unsigned long long)seed, steps);
	fflush(stdout);
	for (long done = 0; done < steps; done += STEPS_A_PROCESS)
		one_process(seed + done / STEPS_A_PROCESS);
	await_module_users(0);
	print_seen();
}
