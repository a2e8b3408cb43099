/* SPDX-License-Identifier: MIT */
/*
 * What was ready and not fetched when a handle is ended comes to nothing:
 * canceled, or nothing at all if it was to be silent.
 */
#include "channel.h"

static int ch, pair[2];
static char text[8];

static uint32_t ready_handle(void)
{
	uint32_t h;

	unix_pair(pair, SOCK_STREAM);
	h = add(ch, pair[0], 1);
	ASK(ch, READ, h, BYTES(text, 8));
	ASK(ch, POLL, h, .arg = POLLIN);
	send_all(pair[1], "ready", 5);
	return h;
}

/* The bytes are still in the socket. */
static void check_left(void)
{
	receive_all(pair[0], text, 5);
	CHECK_BYTES(text, "ready", 5);
	for (int i = 0; i < 2; i++)
		SYS(close(pair[i]));
}

void test(void)
{
	uint32_t h;

	ch = new_channel();
	h = ready_handle();
	drop(ch, h);
	STAYS_QUIET(ch);
	check_left();

	h = ready_handle();
	ASK(ch, CLOSE, h, .arg = -1);
	for (int i = 0; i < 2; i++)
		CHECK_IS(NEXT_OF(ch).result, -ECANCELED);
	COMPLETES(ch, 1, CLOSE, 0);
	STAYS_QUIET(ch);
	check_left();
	SYS(close(ch));
}
