/* SPDX-License-Identifier: MIT */
/*
 * A tiny queue of completions, and very many of them at once: nothing is lost.
 */
#include "check.h"

#define PAIRS 400
#define ROUNDS 5

static int pairs[PAIRS][2];
static struct mp_handle *handles[PAIRS];
static char texts[PAIRS][4];

static void check_round(struct mp_channel *ch)
{
	int reads[PAIRS] = { 0 }, writes = 0;

	for (int i = 0; i < PAIRS; i++)
		send_all(pairs[i][1], "abcd", 4);
	for (int i = 0; i < PAIRS; i++)
		CHECK_IS(mp_write(handles[i], "x", 1), 0);
	for (int left = 2 * PAIRS; left > 0; left--) {
		struct mp_event ev = NEXT(ch);
		int i = (int *)ev.cookie - &pairs[0][0];

		if (ev.cmd == MP_WRITE) {
			writes += ev.result;
			continue;
		}
		CHECK_IS(ev.result, 4);
		CHECK_BYTES(texts[i / 2], "abcd", 4);
		reads[i / 2]++;
		CHECK_IS(mp_read(ev.handle, texts[i / 2], 4), 0);
	}
	for (int i = 0; i < PAIRS; i++)
		CHECK_IS(reads[i], 1);
	CHECK_IS(writes, PAIRS);
	EXPECT_NONE(ch);
}

void test(void)
{
	struct mp_channel *ch = make_channel_with(
		(struct mp_options){ .completions = 8, .batch = 8 });

	for (int i = 0; i < PAIRS; i++) {
		unix_pair(pairs[i], SOCK_STREAM);
		CHECK_IS(mp_register(ch, pairs[i][0], pairs[i], NULL,
				     &handles[i]),
			 0);
		CHECK_IS(mp_read(handles[i], texts[i], 4), 0);
	}
	EXPECT_NONE(ch);
	for (int i = 0; i < ROUNDS; i++)
		check_round(ch);
	if (strcmp(engine, "uring") == 0)
		CHECK(stats_of(ch).overflows > 0);
	mp_destroy(ch);
	for (int i = 0; i < PAIRS; i++) {
		SYS(close(pairs[i][0]));
		SYS(close(pairs[i][1]));
	}
}
