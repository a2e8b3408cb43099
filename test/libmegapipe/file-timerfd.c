/* SPDX-License-Identifier: MIT */
/* A timerfd: its expirations are read as completions. */
#include <sys/timerfd.h>

#include "check.h"

void test(void)
{
	const struct itimerspec soon = { .it_value.tv_nsec = 20 * 1000 * 1000 };
	struct mp_channel *ch = make_channel();
	int fd = SYS(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
	struct mp_handle *h = make_handle(ch, fd);

	for (int i = 0; i < 3; i++) {
		uint64_t expirations = 0;

		CHECK_IS(mp_read(h, &expirations, sizeof(expirations)), 0);
		SYS(timerfd_settime(fd, 0, &soon, NULL));
		EXPECT(ch, h, MP_READ, sizeof(expirations));
		CHECK_IS(expirations, 1);
	}
	mp_destroy(ch);
	SYS(close(fd));
}
