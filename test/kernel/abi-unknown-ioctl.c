/* SPDX-License-Identifier: MIT */
/* What is no ioctl of the device is -ENOTTY. */
#include "channel.h"

static void check_unknown(int ch)
{
	char argument[4096] = { 0 };

	for (int number = 9; number < 256; number++)
		CHECK_IS(try_ioctl(ch,
				   _IOC(_IOC_READ | _IOC_WRITE, MEGAPIPE_IOC,
					number, 24),
				   argument),
			 -ENOTTY);
	/* of another type, another size, another direction */
	CHECK_IS(try_ioctl(ch, _IOWR(0xb6, 4, struct megapipe_run), argument),
		 -ENOTTY);
	CHECK_IS(try_ioctl(ch, _IOWR(MEGAPIPE_IOC, 4, char[4096]), argument),
		 -ENOTTY);
	CHECK_IS(try_ioctl(ch, _IO(MEGAPIPE_IOC, 4), argument), -ENOTTY);
	CHECK_IS(try_ioctl(ch, _IOR(MEGAPIPE_IOC, 8, int), argument), -ENOTTY);
	CHECK_IS(try_ioctl(ch, 0, argument), -ENOTTY);
	CHECK_IS(try_ioctl(ch, UINT32_MAX, argument), -ENOTTY);
}

void test(void)
{
	int ch = open_device();

	check_unknown(ch);
	CHECK_IS(try_setup(ch, LWSOCKETS), 0);
	check_unknown(ch);
	check_usable(ch);
	SYS(close(ch));
}
