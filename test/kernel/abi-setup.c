/* SPDX-License-Identifier: MIT */
/* A file becomes a channel once, for the version that the module has. */
#include "channel.h"

static void setup_is(int fd, struct megapipe_setup setup, int result)
{
	CHECK_IS(try_ioctl(fd, MEGAPIPE_IOC_SETUP, &setup), result);
	CHECK_IS(setup.version, MEGAPIPE_ABI_VERSION);
}

/* What is right but for what a test changes. */
#define SETUP(...)                                                 \
	((struct megapipe_setup){ .version = MEGAPIPE_ABI_VERSION, \
				  .max_lwsockets = LWSOCKETS,      \
				  ##__VA_ARGS__ })

void test(void)
{
	struct megapipe_setup other = { .max_lwsockets = LWSOCKETS };
	int fd = open_device();

	for (int i = 0; i < 3; i++) {
		other.version = (uint32_t[]){ 0, MEGAPIPE_ABI_VERSION + 1,
					      UINT32_MAX }[i];
		setup_is(fd, other, -EPROTO);
	}
	setup_is(fd, SETUP(.flags = 1), -EINVAL);
	setup_is(fd, SETUP(.flags = 1u << 31), -EINVAL);
	setup_is(fd, SETUP(.reserved = 1), -EINVAL);
	setup_is(fd,
		 (struct megapipe_setup){ MEGAPIPE_ABI_VERSION, 0,
					  MEGAPIPE_LWSOCKETS_MAX + 1, 0 },
		 -EINVAL);
	CHECK_IS(try_ioctl(fd, MEGAPIPE_IOC_SETUP, NULL), -EFAULT);
	setup_is(fd, SETUP(), 0);
	setup_is(fd, SETUP(), -EBUSY);
	check_usable(fd);
	SYS(close(fd));

	fd = make_channel_of(MEGAPIPE_LWSOCKETS_MAX);
	check_usable(fd);
	SYS(close(fd));
}
