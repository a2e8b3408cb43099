/* SPDX-License-Identifier: MIT */
/* Before setup, and after its end, a file of the device does nothing. */
#include "channel.h"

static void does_nothing(int ch, int error)
{
	struct megapipe_buffers buffers = { 0 };
	struct megapipe_register reg = { .fd = 0 };
	struct megapipe_run run = { .timeout_ns = PATIENCE_NS };
	struct megapipe_fd fd = { 0 };
	struct megapipe_socket socket = { .call = MEGAPIPE_GETSOCKNAME };
	struct megapipe_stats stats;

	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_BUFFERS, &buffers), error);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_REGISTER, &reg), error);
	CHECK_IS(try_run(ch, &run), error);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_FD, &fd), error);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_SOCKET, &socket), error);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_STATS, &stats), error);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_END, NULL), error);
}

void test(void)
{
	struct megapipe_info info;
	int ch = open_device();

	does_nothing(ch, -ENOTCONN);
	CHECK_IS(try_setup(ch, LWSOCKETS), 0);
	check_usable(ch);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_END, NULL), 0);
	does_nothing(ch, -ESHUTDOWN);
	CHECK(try_setup(ch, LWSOCKETS) < 0);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_INFO, &info), 0);
	SYS(close(ch));
}
