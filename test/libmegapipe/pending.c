/* SPDX-License-Identifier: MIT */
/*
 * mp_pending(): does the next mp_dispatch() have an event in memory? So one
 * can dispatch what a fetch has brought, without another.
 */
#include "check.h"

#define WRITES 10

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h;
	struct mp_event ev;
	uint64_t crossings;
	int pair[2], got;

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_pending(ch), 0);
	for (int i = 0; i < WRITES; i++)
		CHECK_IS(mp_write(h, "x", 1), 0);
	for (got = 0; got < WRITES; got++) {
		EXPECT(ch, h, MP_WRITE, 1);
		crossings = stats_of(ch).crossings;
		while (mp_pending(ch)) {
			CHECK_IS(mp_dispatch(ch, &ev, -1), 1);
			got++;
		}
		CHECK_IS(stats_of(ch).crossings, crossings);
	}
	CHECK_IS(got, WRITES);
	CHECK_IS(mp_dispatch(ch, &ev, 0), 0);
	CHECK_IS(mp_pending(ch), 0);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
