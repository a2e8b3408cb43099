/* SPDX-License-Identifier: MIT */
/*
 * With batch 1 each request is pushed at once, and completions come one a
 * fetch.
 */
#include "check.h"

#define PAIRS 10

void test(void)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .batch = 1 });
	struct mp_handle *handles[PAIRS];
	struct mp_stats stats;
	char texts[PAIRS][2], reply[2];
	int pairs[PAIRS][2];

	for (int i = 0; i < PAIRS; i++) {
		unix_pair(pairs[i], SOCK_STREAM);
		handles[i] = make_handle(ch, pairs[i][0]);
		CHECK_IS(mp_write(handles[i], "hi", 2), 0);
		receive_all(pairs[i][1], reply, 2);
		EXPECT(ch, handles[i], MP_WRITE, 2);
		CHECK_IS(mp_read(handles[i], texts[i], 2), 0);
	}
	for (int i = 0; i < PAIRS; i++)
		send_all(pairs[i][1], "me", 2);
	for (int i = 0; i < PAIRS; i++)
		CHECK_IS(NEXT(ch).result, 2);
	stats = stats_of(ch);
	CHECK_IS(stats.requests, 2 * PAIRS);
	CHECK_IS(stats.largest_flush, 1);
	CHECK_IS(stats.flushes, stats.flushed);
	CHECK_IS(stats.largest_fetch, 1);
	mp_destroy(ch);
}
