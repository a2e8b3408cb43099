/* SPDX-License-Identifier: MIT */
/*
 * With all buffers held by the caller mp_recv() waits, without spinning, and
 * goes on with each release; the wait is counted.
 */
#include "check.h"

#define BUFFERS 4
#define CONNECTIONS 20

static struct mp_event held[BUFFERS];
static int served;

static void hold_next(struct mp_channel *ch, int slot)
{
	held[slot] = NEXT(ch);
	CHECK(held[slot].cmd == MP_RECV);
	CHECK_IS(held[slot].result, 6);
	CHECK_BYTES(held[slot].recv.data, "data", 4);
	served++;
}

static void check_waits(struct mp_channel *ch)
{
	uint64_t crossings = stats_of(ch).crossings;

	for (int i = 0; i < 3; i++)
		EXPECT_NONE(ch);
	CHECK(stats_of(ch).crossings - crossings < 20);
	CHECK_IS(stats_of(ch).buffers_held, BUFFERS);
	CHECK(stats_of(ch).buffer_waits > 0);
}

static void open_all(struct mp_channel *ch, int pairs[CONNECTIONS][2])
{
	for (int i = 0; i < CONNECTIONS; i++) {
		unix_pair(pairs[i], SOCK_STREAM);
		send_all(pairs[i][1], "data..", 6);
		CHECK_IS(mp_recv(make_handle(ch, pairs[i][0])), 0);
	}
}

void test(void)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .buffers = BUFFERS });
	int pairs[CONNECTIONS][2];

	open_all(ch, pairs);
	for (int i = 0; i < BUFFERS; i++)
		hold_next(ch, i);
	check_waits(ch);
	while (served < CONNECTIONS) {
		int slot = served * 7 % BUFFERS;

		CHECK_IS(mp_release(ch, &held[slot]), 0);
		hold_next(ch, slot);
	}
	EXPECT_NONE(ch);
	for (int i = 0; i < BUFFERS; i++)
		CHECK_IS(mp_release(ch, &held[i]), 0);
	CHECK_IS(stats_of(ch).buffers_held, 0);
	mp_destroy(ch);
	for (int i = 0; i < CONNECTIONS; i++) {
		SYS(close(pairs[i][0]));
		SYS(close(pairs[i][1]));
	}
}
