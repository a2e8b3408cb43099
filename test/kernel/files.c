/* SPDX-License-Identifier: MIT */
/* Files of every kind that has something to wait for: each waits, and works. */
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#include "channel.h"

static int ch;

static uint32_t add_kind(int fd, enum megapipe_kind kind)
{
	struct megapipe_register reg = { .fd = fd, .cookie = 1 };

	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_REGISTER, &reg), 0);
	CHECK_IS(reg.kind, kind);
	return reg.handle;
}

/* Reads wait for their writer, and the end comes through. */
static void check_stream_of(int reader, int writer, enum megapipe_kind kind)
{
	uint32_t in = add_kind(reader, kind), out = add_kind(writer, kind);
	char text[16];

	ASK(ch, READ, in, BYTES(text, sizeof(text)));
	STAYS_QUIET(ch);
	ASK(ch, WRITE, out, BYTES("hello", 5));
	for (int i = 0; i < 2; i++)
		CHECK_IS(NEXT_OF(ch).result, 5);
	CHECK_BYTES(text, "hello", 5);
	ASK(ch, READ, in, BYTES(text, sizeof(text)));
	ASK(ch, CLOSE, out, .arg = writer);
	COMPLETES(ch, 1, CLOSE, 0);
	COMPLETES(ch, 1, READ, 0);
	ASK(ch, CLOSE, in, .arg = reader);
	COMPLETES(ch, 1, CLOSE, 0);
}

/* More than it holds: the write waits for its reader. */
static void check_large(int reader, int writer, enum megapipe_kind kind)
{
	static char large[1 << 20], got[sizeof(large)];
	uint32_t in = add_kind(reader, kind), out = add_kind(writer, kind);
	size_t at = 0;

	fill(large, sizeof(large), 0);
	ASK(ch, WRITE, out, BYTES(large, sizeof(large)));
	ASK(ch, COOKIE, in, .addr = 2);
	while (at < sizeof(large)) {
		struct megapipe_completion c;

		ASK(ch, READ, in, BYTES(got + at, sizeof(got) - at));
		while ((c = NEXT_OF(ch)).cookie == 1)
			CHECK_IS(c.result, sizeof(large));
		CHECK(c.result > 0);
		at += c.result;
	}
	check_filled(got, sizeof(got), 0);
	drop(ch, in);
	drop(ch, out);
}

static void check_pipes(void)
{
	int fds[2];
	char path[300];

	SYS(pipe2(fds, O_CLOEXEC));
	check_large(fds[0], fds[1], MEGAPIPE_KIND_POLLABLE);
	check_stream_of(fds[0], fds[1], MEGAPIPE_KIND_POLLABLE);
	snprintf(path, sizeof(path), "%s/fifo", scratch_directory());
	SYS(mkfifo(path, 0600));
	fds[0] = SYS(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
	fds[1] = SYS(open(path, O_WRONLY | O_CLOEXEC));
	check_stream_of(fds[0], fds[1], MEGAPIPE_KIND_POLLABLE);
	/* nobody reads */
	signal(SIGPIPE, SIG_IGN);
	SYS(pipe2(fds, O_CLOEXEC));
	SYS(close(fds[0]));
	CHECK_IS(OUTCOME(ch, WRITE, add(ch, fds[1], 1), BYTES("x", 1)), -EPIPE);
}

static void check_sockets(void)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
	int pair[2];

	for (int i = 0; i < 2; i++) {
		unix_pair(pair, types[i]);
		check_stream_of(pair[0], pair[1],
				i ? MEGAPIPE_KIND_MESSAGES :
				    MEGAPIPE_KIND_STREAM);
	}
	tcp_pair(pair);
	small_buffers(pair);
	check_large(pair[0], pair[1], MEGAPIPE_KIND_STREAM);
	check_stream_of(pair[0], pair[1], MEGAPIPE_KIND_STREAM);
}

/* A datagram is read whole, or cut off; an empty one is one. */
static void check_datagrams(int pair[2])
{
	uint32_t in = add_kind(pair[0], MEGAPIPE_KIND_MESSAGES),
		 out = add_kind(pair[1], MEGAPIPE_KIND_MESSAGES);
	char text[16];

	for (int size = 0; size < 3; size++) {
		ASK(ch, READ, in, BYTES(text, 2));
		STAYS_QUIET(ch);
		ASK(ch, WRITE, out, BYTES("three", size ? 5 : 0));
		for (int i = 0; i < 2; i++) {
			struct megapipe_completion c = NEXT_OF(ch);
			int got = c.op == MEGAPIPE_OP_READ ? 2 : 5;

			CHECK_IS(c.result, size ? got : 0);
		}
	}
	drop(ch, in);
	drop(ch, out);
}

static void check_event_fd(void)
{
	int fd = SYS(eventfd(0, EFD_CLOEXEC));
	uint32_t h = add_kind(fd, MEGAPIPE_KIND_POLLABLE);
	uint64_t count = 0, one = 3, most = UINT64_MAX - 1;

	ASK(ch, READ, h, BYTES(&count, sizeof(count)));
	STAYS_QUIET(ch);
	ASK(ch, WRITE, h, BYTES(&one, sizeof(one)));
	for (int i = 0; i < 2; i++)
		CHECK_IS(NEXT_OF(ch).result, 8);
	CHECK_IS(count, 3);
	/* full, and then not */
	CHECK_IS(OUTCOME(ch, WRITE, h, BYTES(&most, sizeof(most))), 8);
	ASK(ch, WRITE, h, BYTES(&one, sizeof(one)));
	STAYS_QUIET(ch);
	SYS(read(fd, &count, sizeof(count)));
	COMPLETES(ch, 1, WRITE, 8);
	CHECK_IS(OUTCOME(ch, READ, h, BYTES(&count, 4)), -EINVAL);
	drop(ch, h);
}

static void check_timer_fd(void)
{
	const struct itimerspec soon = { .it_value.tv_nsec = 2000000 };
	int fd = SYS(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
	uint32_t h = add_kind(fd, MEGAPIPE_KIND_POLLABLE);
	uint64_t count;

	ASK(ch, READ, h, BYTES(&count, sizeof(count)));
	STAYS_QUIET(ch);
	SYS(timerfd_settime(fd, 0, &soon, NULL));
	COMPLETES(ch, 1, READ, 8);
	CHECK_IS(count, 1);
	drop(ch, h);
}

static void check_signal_fd(void)
{
	struct signalfd_siginfo info;
	sigset_t set;
	uint32_t h;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	h = add_kind(SYS(signalfd(-1, &set, SFD_CLOEXEC)),
		     MEGAPIPE_KIND_POLLABLE);
	ASK(ch, READ, h, BYTES(&info, sizeof(info)));
	STAYS_QUIET(ch);
	SYS(kill(getpid(), SIGUSR1));
	COMPLETES(ch, 1, READ, sizeof(info));
	CHECK_IS(info.ssi_signo, SIGUSR1);
	drop(ch, h);
}

/* It may be told to block again: that is its process's affair, and ends. */
static void check_made_blocking(void)
{
	int fds[2];
	uint32_t h;

	SYS(pipe2(fds, O_CLOEXEC));
	h = add(ch, fds[0], 1);
	CHECK(SYS(fcntl(fds[0], F_GETFL)) & O_NONBLOCK);
	SYS(fcntl(fds[0], F_SETFL, 0));
	send_all(fds[1], "x", 1);
	CHECK_IS(OUTCOME(ch, READ, h, BYTES((char[1]){ 0 }, 1)), 1);
	drop(ch, h);
}

void test(void)
{
	int pair[2];

	ch = new_channel();
	check_pipes();
	check_sockets();
	unix_pair(pair, SOCK_DGRAM);
	check_datagrams(pair);
	udp_pair(pair);
	check_datagrams(pair);
	check_event_fd();
	check_timer_fd();
	check_signal_fd();
	check_made_blocking();
	SYS(close(ch));
}
