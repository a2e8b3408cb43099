/* SPDX-License-Identifier: MIT */
/* The counters of a channel tell what has been asked for and dispatched. */
#include "check.h"

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_stats before, after;
	struct mp_handle *h;
	struct mp_event ev;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	before = stats_of(ch);
	CHECK_IS(before.handles, 0);
	CHECK_IS(before.requests, 0);
	h = make_handle(ch, pair[0]);
	CHECK_IS(stats_of(ch).handles, 1);
	CHECK_IS(mp_recv(h), 0);
	CHECK_IS(mp_write(h, "a", 1), 0);
	CHECK_IS(stats_of(ch).requests, 2);
	CHECK_IS(stats_of(ch).completions, 0);
	EXPECT(ch, h, MP_WRITE, 1);
	send_all(pair[1], "b", 1);
	ev = EXPECT(ch, h, MP_RECV, 1);
	after = stats_of(ch);
	CHECK_IS(after.completions, 2);
	CHECK_IS(after.fetched, 2);
	CHECK_IS(after.buffers_held, 1);
	CHECK(after.flushes >= 1 && after.flushed >= 2);
	CHECK(after.largest_flush >= 1 && after.largest_fetch >= 1);
	CHECK(after.fetches >= 1 && after.crossings >= 2);
	CHECK_IS(mp_release(ch, &ev), 0);
	CHECK_IS(stats_of(ch).buffers_held, 0);
	CHECK_IS(mp_unregister(h), 0);
	CHECK_IS(stats_of(ch).handles, 0);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
