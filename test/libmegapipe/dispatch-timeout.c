/* SPDX-License-Identifier: MIT */
/* mp_dispatch() waits as long as it was told: not at all, or at least that. */
#include <time.h>

#include "check.h"

static int64_t now_us(void)
{
	struct timespec t;

	SYS(clock_gettime(CLOCK_MONOTONIC, &t));
	return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

static void check_wait(struct mp_channel *ch, int64_t timeout_us)
{
	int64_t begin_us = now_us();
	struct mp_event ev;

	CHECK_IS(mp_dispatch(ch, &ev, timeout_us), 0);
	CHECK(now_us() - begin_us >= timeout_us);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h;
	char byte;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	check_wait(ch, 50000);
	CHECK_IS(mp_read(h, &byte, 1), 0);
	check_wait(ch, 0);
	check_wait(ch, 1);
	check_wait(ch, 999);
	check_wait(ch, 50000);
	check_wait(ch, 50001);
	send_all(pair[1], "x", 1);
	EXPECT(ch, h, MP_READ, 1);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
