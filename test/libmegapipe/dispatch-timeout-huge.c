/* SPDX-License-Identifier: MIT */
/*
 * The longest timeouts are fine: the event comes as with any.
 */
#include "check.h"

static void check_wait(struct mp_channel *ch, struct mp_handle *h, int peer,
		       int64_t timeout_us)
{
	struct mp_event ev;
	char byte;

	CHECK_IS(mp_read(h, &byte, 1), 0);
	EXPECT_NONE(ch);
	send_all(peer, "x", 1);
	CHECK_IS(mp_dispatch(ch, &ev, timeout_us), 1);
	CHECK(ev.handle == h && ev.result == 1);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	check_wait(ch, h, pair[1], INT64_MAX);
	check_wait(ch, h, pair[1], INT64_MAX - 1);
	check_wait(ch, h, pair[1], INT64_MAX / 1000);
	check_wait(ch, h, pair[1], INT64_MAX / 1000 + 1);
	check_wait(ch, h, pair[1], 1ll << 42);
	check_wait(ch, h, pair[1], 1ll << 31);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
