/* SPDX-License-Identifier: MIT */
/*
 * Seccomp filters that don't know epoll_pwait2() refuse it with EPERM, older
 * ones with ENOSYS: waiting and its bounds work all the same.
 */
#include <sys/syscall.h>
#include <time.h>

#include "check.h"
#include "refuse.h"

static int64_t now_us(void)
{
	struct timespec t;

	SYS(clock_gettime(CLOCK_MONOTONIC, &t));
	return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

static void check_waits(struct mp_channel *ch, int64_t timeout_us)
{
	int64_t begin_us = now_us();
	struct mp_event ev;

	CHECK_IS(mp_dispatch(ch, &ev, timeout_us), 0);
	CHECK(now_us() - begin_us >= timeout_us);
}

static void check_channel(struct mp_channel *ch)
{
	struct mp_handle *h;
	char byte;
	int pair[2];

	tcp_pair(pair);
	h = make_handle(ch, pair[0]);
	for (int i = 0; i < 3; i++) {
		CHECK_IS(mp_read(h, &byte, 1), 0);
		check_waits(ch, 0);
		check_waits(ch, 1);
		check_waits(ch, 1001);
		send_all(pair[1], "x", 1);
		EXPECT(ch, h, MP_READ, 1);
	}
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

void test(void)
{
#ifdef SYS_epoll_pwait2
	struct mp_channel *before = make_channel(), *ch;

	check_channel(before);
	refuse(SYS_epoll_pwait2, EPERM);
	check_channel(before);
	ch = make_channel();
	check_channel(ch);
	refuse(SYS_epoll_pwait2, ENOSYS);
	check_channel(ch);
	mp_destroy(ch);
	mp_destroy(before);
#else
	skip("the system's headers don't know epoll_pwait2()");
#endif
}
