/* SPDX-License-Identifier: MIT */
/*
 * The request that reaches the batch's threshold pushes it, without a
 * dispatch.
 */
#include "check.h"

#define BATCH 4

static int pairs[2 * BATCH][2];
static struct mp_handle *handles[2 * BATCH];

static void check_batch(struct mp_channel *ch, int first)
{
	uint64_t flushes = stats_of(ch).flushes;

	for (int i = 0; i < BATCH; i++) {
		CHECK_IS(stats_of(ch).flushes, flushes);
		CHECK_IS(mp_write(handles[first + i], "now", 3), 0);
	}
	for (int i = 0; i < BATCH; i++)
		CHECK(readable(pairs[first + i][1], PATIENCE_US / 1000));
	CHECK_IS(stats_of(ch).flushes, flushes + 1);
	CHECK_IS(stats_of(ch).largest_flush, BATCH);
}

void test(void)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .batch = BATCH });

	for (int i = 0; i < 2 * BATCH; i++) {
		unix_pair(pairs[i], SOCK_STREAM);
		handles[i] = make_handle(ch, pairs[i][0]);
	}
	check_batch(ch, 0);
	check_batch(ch, BATCH);
	for (int i = 0; i < 2 * BATCH; i++)
		CHECK_IS(NEXT(ch).result, 3);
	mp_destroy(ch);
}
