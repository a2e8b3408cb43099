/* SPDX-License-Identifier: MIT */
/*
 * Wake-up moderation delays at most, it loses nothing, and ends waits that
 * nothing interrupts.
 */
#include "check.h"

#define PAIRS 20
#define ROUNDS 50

void test(void)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .moderation_us = 200 });
	struct mp_handle *handles[PAIRS];
	int pairs[PAIRS][2];

	for (int i = 0; i < PAIRS; i++) {
		unix_pair(pairs[i], SOCK_STREAM);
		handles[i] = make_handle(ch, pairs[i][0]);
		CHECK_IS(mp_recv(handles[i]), 0);
	}
	for (int round = 0; round < ROUNDS; round++) {
		int speakers = round % 2 ? PAIRS : 1;

		for (int i = 0; i < speakers; i++)
			send_all(pairs[i][1], "x", 1);
		for (int i = 0; i < speakers; i++) {
			struct mp_event ev = NEXT(ch);

			CHECK(ev.cmd == MP_RECV && ev.result == 1);
			CHECK_IS(mp_release(ch, &ev), 0);
			CHECK_IS(mp_recv(ev.handle), 0);
		}
		if (round % 10 == 0)
			EXPECT_NONE(ch);
	}
	mp_destroy(ch);
}
