/* SPDX-License-Identifier: MIT */
/*
 * Tens of thousands of requests without a dispatch in between: each completes,
 * once, and in the order of its lane.
 */
#include "check.h"

#define PAIRS 100
#define WRITES 300

static int pairs[PAIRS][2];
static struct mp_handle *handles[PAIRS];
static char sent[WRITES], room[PAIRS][WRITES];

static void ask_all(void)
{
	for (int k = 0; k < WRITES; k++)
		for (int i = 0; i < PAIRS; i++) {
			CHECK_IS(mp_write(handles[i], &sent[k], 1), 0);
			CHECK_IS(mp_read(handles[i], &room[i][k], 1), 0);
		}
}

/* The other ends give back what they get. */
static void echo_all(void)
{
	char bytes[WRITES];

	for (int i = 0; i < PAIRS; i++) {
		ssize_t got = recv(pairs[i][1], bytes, WRITES, MSG_DONTWAIT);

		if (got > 0)
			send_all(pairs[i][1], bytes, got);
	}
}

/* One event at least, and all that are there. */
static int dispatched(struct mp_channel *ch)
{
	struct mp_event ev = NEXT(ch);
	int count = 1;

	CHECK_IS(ev.result, 1);
	for (; mp_dispatch(ch, &ev, 0) == 1; count++)
		CHECK_IS(ev.result, 1);
	return count;
}

static void check_requests(unsigned int batch)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .batch = batch });

	for (int i = 0; i < PAIRS; i++) {
		unix_pair(pairs[i], SOCK_STREAM);
		handles[i] = make_handle(ch, pairs[i][0]);
	}
	memset(room, 0, sizeof(room));
	ask_all();
	CHECK_IS(stats_of(ch).requests, 2 * PAIRS * WRITES);
	for (int left = 2 * PAIRS * WRITES; left > 0; left -= dispatched(ch))
		echo_all();
	EXPECT_NONE(ch);
	for (int i = 0; i < PAIRS; i++) {
		check_filled(room[i], WRITES, 0);
		SYS(close(pairs[i][0]));
		SYS(close(pairs[i][1]));
	}
	mp_destroy(ch);
}

void test(void)
{
	fill(sent, WRITES, 0);
	check_requests(1);
	check_requests(32);
	check_requests(MP_BATCH_MAX);
}
