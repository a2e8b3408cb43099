/* SPDX-License-Identifier: MIT */
/* Before setup, and after its end, a file of the device does nothing. */
#include "channel.h"

static void does_nothing(int ch)
{
	struct megapipe_buffers buffers = { 0 };
	struct megapipe_register reg = { .fd = 0 };
	struct megapipe_run run = { .timeout_ns = PATIENCE_NS };
	struct megapipe_fd fd = { 0 };
	struct megapipe_socket socket = { .call = MEGAPIPE_GETSOCKNAME };
	struct megapipe_stats stats;

	CHECK(try_ioctl(ch, MEGAPIPE_IOC_BUFFERS, &buffers) < 0);
	CHECK(try_ioctl(ch, MEGAPIPE_IOC_REGISTER, &reg) < 0);
	CHECK(try_run(ch, &run) < 0);
	CHECK(try_ioctl(ch, MEGAPIPE_IOC_FD, &fd) < 0);
	CHECK(try_ioctl(ch, MEGAPIPE_IOC_SOCKET, &socket) < 0);
	CHECK(try_ioctl(ch, MEGAPIPE_IOC_STATS, &stats) < 0);
	CHECK(try_ioctl(ch, MEGAPIPE_IOC_END, NULL) < 0);
}

void test(void)
{
	struct megapipe_info info;
	int ch = open_device();

	does_nothing(ch);
	CHECK_IS(try_setup(ch, LWSOCKETS), 0);
	check_usable(ch);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_END, NULL), 0);
	does_nothing(ch);
	CHECK(try_setup(ch, LWSOCKETS) < 0);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_INFO, &info), 0);
	SYS(close(ch));
}
