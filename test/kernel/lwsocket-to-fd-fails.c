/* SPDX-License-Identifier: MIT */
/*
 * An lwsocket that can't be given a descriptor, at whichever step, is what it
 * was; whatever it has in flight.
 */
#include <sys/eventfd.h>

#include "channel.h"
#include "machine.h"
#include "processes.h"

#define FILE_MAX "/proc/sys/fs/file-max"
#define FAIL_NTH "/proc/thread-self/fail-nth"
/* As many allocations as there can be. */
#define ALLOCATIONS 12

/* What the lanes are in the midst of. */
enum reading { NO_READ, READ_WAITS, READ_BEHIND, ACCEPT_BEHIND, READINGS };
enum writing { NO_WRITE, WRITE_WAITS, WRITE_BEHIND, WRITINGS };

static int ch, listener;
static bool have_files; /* all lwsockets */
static char large[1 << 19], text[8];
static uint64_t count;

/* Something is complete, and has no room: what comes now is behind it. */
static uint32_t block(void)
{
	int fd = SYS(eventfd(1, EFD_CLOEXEC));
	uint32_t h = add(ch, fd, 2);

	SYS(close(fd));
	ASK(ch, READ, h, BYTES(&count, sizeof(count)));
	return h;
}

static uint32_t unix_lwsocket(int *client)
{
	uint32_t h;
	int fd = SYS(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	const struct sockaddr any = { .sa_family = AF_UNIX };

	SYS(bind(fd, &any, sizeof(any.sa_family)));
	SYS(listen(fd, 5));
	h = accept_lwsocket(ch, fd, client, 1);
	SYS(close(fd));
	return h;
}

static void begin(uint32_t h, enum reading reading, enum writing writing,
		  uint32_t *blocking)
{
	if (reading == READ_WAITS)
		ASK(ch, READ, h, BYTES(text, sizeof(text)));
	if (writing == WRITE_WAITS)
		ASK(ch, WRITE, h, BYTES(large, sizeof(large)));
	*blocking = block();
	if (reading == READ_BEHIND)
		ASK(ch, READ, h, BYTES(text, sizeof(text)));
	if (reading == ACCEPT_BEHIND)
		ASK(ch, ACCEPT, h, .len = 1);
	if (writing == WRITE_BEHIND)
		ASK(ch, WRITE, h, BYTES("pong", 4));
}

/* Each completes as if nothing had been. */
static void finish(int client, enum reading reading, enum writing writing)
{
	char got[4096];
	int left = 1 + (reading != NO_READ) + (writing != NO_WRITE);
	size_t unread = writing == WRITE_WAITS ? sizeof(large) : 0;

	if (reading == READ_WAITS || reading == READ_BEHIND)
		send_all(client, "ping", 4);
	while (left || unread) {
		struct megapipe_completion c;
		struct megapipe_run run = { .completions = ADDRESS(&c),
					    .max = 1,
					    .timeout_ns = NS_PER_MS };
		int ret = try_run(ch, &run);

		if (ret != -ETIME) {
			CHECK_IS(ret, 0);
			left--;
			if (c.op == MEGAPIPE_OP_ACCEPT)
				CHECK_IS(c.result, -EINVAL);
			else if (c.op == MEGAPIPE_OP_WRITE)
				CHECK_IS(c.result, writing == WRITE_WAITS ?
							   sizeof(large) :
							   4);
			else
				CHECK_IS(c.result, c.cookie == 1 ? 4 : 8);
		}
		if (unread && readable(client, 10))
			unread -= SYS(read(client, got, sizeof(got)));
	}
	if (writing == WRITE_BEHIND)
		receive_all(client, got, 4);
}

/* How the call is made to fail, at each step, and the way back. */
struct way {
	int steps;
	void (*fail)(int step);
	void (*stop)(void);
};

static void try_descriptor(uint32_t h, const struct way *way, int step,
			   bool may_work)
{
	struct megapipe_fd arg = { .handle = h };
	int fd;

	way->fail(step);
	fd = try_ioctl(ch, MEGAPIPE_IOC_FD, &arg);
	way->stop();
	if (fd >= 0)
		SYS(close(fd));
	else
		CHECK(fd == -ENFILE || fd == -EMFILE || fd == -ENOMEM);
	CHECK(fd < 0 || may_work);
}

static void check_one(const struct way *way, bool is_unix, int step,
		      enum reading reading, enum writing writing)
{
	uint32_t h, blocking;
	int client;

	h = is_unix ? unix_lwsocket(&client) :
		      accept_lwsocket(ch, listener, &client, 1);
	begin(h, reading, writing, &blocking);
	/* one that has a file needs none; and of many steps some are others' */
	try_descriptor(h, way, step, is_unix || have_files || way->steps > 1);
	finish(client, reading, writing);
	check_echo(ch, h, 1, client);
	drop(ch, h);
	drop(ch, blocking);
	receive_end(client);
	SYS(close(client));
}

static void check_way(const struct way *way, bool is_unix)
{
	for (int reading = 0; reading < READINGS; reading++)
		for (int writing = 0; writing < WRITINGS; writing++)
			for (int step = 1; step <= way->steps; step++)
				check_one(way, is_unix, step, reading, writing);
}

/* ------------------------------------------------------- ways to fail */

static void no_descriptors(int step)
{
	int spare;

	(void)step;
	for (spare = 3; is_open(spare); spare++)
		;
	CHECK(limit_fds(spare));
}

static void some_descriptors(void)
{
	CHECK(limit_fds(200));
}

/* Of all processes without rights: so one with rights turns it. */
static struct bell off, is_off, on, is_on;

static void no_files(int step)
{
	(void)step;
	ring(off);
	await(is_off);
}

static void some_files(void)
{
	ring(on);
	await(is_on);
}

static void turn_files_off_and_on(void *arg)
{
	char most[32];

	(void)arg;
	snprintf(most, sizeof(most), "%ld", read_number(FILE_MAX));
	for (;;) {
		await(off);
		CHECK(write_text(FILE_MAX, "0"));
		ring(is_off);
		await(on);
		CHECK(write_text(FILE_MAX, most));
		ring(is_on);
	}
}

static void fail_nth(int step)
{
	char nth[12];

	snprintf(nth, sizeof(nth), "%d", step);
	CHECK(write_text(FAIL_NTH, nth));
}

static void fail_none(void)
{
	CHECK(write_text(FAIL_NTH, "0"));
}

/* ------------------------------------------------------------------- all */

static void check_as_nobody(void *arg)
{
	const struct way files = { 1, no_files, some_files };
	const struct way descriptors = { 1, no_descriptors, some_descriptors };

	(void)arg;
	fill(large, sizeof(large), 0);
	ch = new_channel();
	listener = listen_tcp(AF_INET);
	small_buffers((int[2]){ listener, listener });
	become(NOBODY);
	for (int is_unix = 0; is_unix < 2; is_unix++) {
		check_way(&descriptors, is_unix);
		check_way(&files, is_unix);
	}
}

static void check_allocations(void *arg)
{
	const struct way allocations = { ALLOCATIONS, fail_nth, fail_none };

	(void)arg;
	ch = new_channel();
	listener = listen_tcp(AF_INET);
	small_buffers((int[2]){ listener, listener });
	for (int is_unix = 0; is_unix < 2; is_unix++)
		check_way(&allocations, is_unix);
}

void test(void)
{
	pid_t switcher;

	need_root();
	have_files = !(features() & MEGAPIPE_FEATURE_LWSOCKET);
	off = new_bell();
	is_off = new_bell();
	on = new_bell();
	is_on = new_bell();
	switcher = start(turn_files_off_and_on, NULL);
	in_child(check_as_nobody, NULL);
	end(switcher);
	/* of kernels that are built for it */
	if (access(FAIL_NTH, W_OK) == 0)
		in_child(check_allocations, NULL);
}
