/* SPDX-License-Identifier: MIT */
/*
 * Connections that were reset, closed, or have sent something before they are
 * accepted: each is accepted, and tells what came of it.
 */
#include "channel.h"

static int ch, listener;

static uint32_t accept_one(uint32_t h, int flags)
{
	struct megapipe_completion c;
	uint32_t accepted;

	ASK(ch, ACCEPT, h, .len = 1, .flags = flags);
	c = NEXT_OF(ch);
	CHECK(c.result >= 0);
	if (flags)
		accepted = c.result;
	else
		accepted = add(ch, c.result, 0);
	ASK(ch, COOKIE, accepted, .addr = 2);
	return accepted;
}

static int64_t reads(uint32_t h, char *text)
{
	ASK(ch, READ, h, BYTES(text, 8));
	return NEXT_OF(ch).result;
}

static void check_kind(uint32_t h, int flags)
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

	a = accept_one(h, flags);
	CHECK_IS(reads(a, text), -ECONNRESET);
	CHECK(OUTCOME(ch, WRITE, a, BYTES("x", 1)) < 0);
	drop(ch, a);

	a = accept_one(h, flags);
	CHECK_IS(reads(a, text), 4);
	CHECK_BYTES(text, "left", 4);
	CHECK_IS(reads(a, text), 0);
	drop(ch, a);

	a = accept_one(h, flags);
	CHECK_IS(reads(a, text), 4);
	CHECK_IS(reads(a, text), -ECONNRESET);
	ASK(ch, CLOSE, a, .arg = -1);
	COMPLETES(ch, 2, CLOSE, 0);
}

/* The end is told again, whatever comes after it: as by read(). */
static void check_end_then_reset(uint32_t h, int flags)
{
	int fd = connect_to(listener);
	char text[8];
	uint32_t a;

	SYS(shutdown(fd, SHUT_WR));
	a = accept_one(h, flags);
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
	check_kind(h, 0);
	check_kind(h, MEGAPIPE_F_LWSOCKET);
	check_end_then_reset(h, 0);
	check_end_then_reset(h, MEGAPIPE_F_LWSOCKET);
	SYS(close(ch));
}
