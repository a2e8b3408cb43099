/* SPDX-License-Identifier: MIT */
/* An eventfd is written and read through the channel. */
#include <sys/eventfd.h>

#include "check.h"

void test(void)
{
	const uint64_t five = 5, two = 2;
	struct mp_channel *ch = make_channel();
	int fd = SYS(eventfd(0, EFD_CLOEXEC));
	struct mp_handle *h = make_handle(ch, fd);
	uint64_t count = 0;

	CHECK_IS(mp_write(h, &five, sizeof(five)), 0);
	EXPECT(ch, h, MP_WRITE, sizeof(five));
	CHECK_IS(mp_write(h, &two, sizeof(two)), 0);
	EXPECT(ch, h, MP_WRITE, sizeof(two));
	CHECK_IS(mp_read(h, &count, sizeof(count)), 0);
	EXPECT(ch, h, MP_READ, sizeof(count));
	CHECK_IS(count, 7);

	CHECK_IS(mp_read(h, &count, sizeof(count)), 0);
	EXPECT_NONE(ch);
	send_all(fd, &five, sizeof(five));
	EXPECT(ch, h, MP_READ, sizeof(count));
	CHECK_IS(count, 5);
	mp_destroy(ch);
	SYS(close(fd));
}
