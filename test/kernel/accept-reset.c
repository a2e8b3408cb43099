/* SPDX-License-Identifier: MIT */
/*
 * Connections that were reset, closed, or have sent something before they are
 * accepted: each is accepted, and tells what came of it.
 */
#include <sys/socket.h>

#include "channel.h"

static int ch, listener;

/* As an lwsocket, or by the system call. */
static uint32_t accept_one(uint32_t h, bool by_call)
{
	uint32_t accepted;

	if (by_call) {
		accepted = add(ch, SYS(accept(listener, NULL, NULL)), 0);
	} else {
		ASK(ch, ACCEPT, h, .len = 1);
		accepted = NEXT_OF(ch).result;
	}
	ASK(ch, COOKIE, accepted, .addr = 2);
	return accepted;
}

static int64_t reads(uint32_t h, char *text)
{
	ASK(ch, READ, h, BYTES(text, 8));
	return NEXT_OF(ch).result;
}

static void check_kind(uint32_t h, bool by_call)
{
	char text[8];
	uint32_t a;
	int fd;

	reset(connect_to(listener));
	fd = connect_to(listener);
	send_all(fd, "left", 4);
	SYS(close(fd));
	fd = connect_to(listener);
	send_all(fd, "gone", 4);
	reset(fd);
	wait_queued(listener, 3);

	a = accept_one(h, by_call);
	CHECK_IS(reads(a, text), -ECONNRESET);
	CHECK(OUTCOME(ch, WRITE, a, BYTES("x", 1)) < 0);
	drop(ch, a);

	a = accept_one(h, by_call);
	CHECK_IS(reads(a, text), 4);
	CHECK_BYTES(text, "left", 4);
	CHECK_IS(reads(a, text), 0);
	drop(ch, a);

	a = accept_one(h, by_call);
	CHECK_IS(reads(a, text), 4);
	CHECK_IS(reads(a, text), -ECONNRESET);
	ASK(ch, CLOSE, a, .arg = -1);
	COMPLETES(ch, 2, CLOSE, 0);
}

/* The end is told again, whatever comes after it: as by read(). */
static void check_end_then_reset(uint32_t h, bool by_call)
{
	int fd = connect_to(listener);
	char text[8];
	uint32_t a;

	SYS(shutdown(fd, SHUT_WR));
	a = accept_one(h, by_call);
	CHECK_IS(reads(a, text), 0);
	reset(fd);
	CHECK_IS(reads(a, text), 0);
	CHECK(OUTCOME(ch, WRITE, a, BYTES("x", 1)) < 0);
	drop(ch, a);
}

void test(void)
{
	uint32_t h;

	ch = new_channel();
	listener = listen_tcp(AF_INET);
	h = add(ch, listener, 1);
	check_kind(h, true);
	check_kind(h, false);
	check_end_then_reset(h, true);
	check_end_then_reset(h, false);
	SYS(close(ch));
}
