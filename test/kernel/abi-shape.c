/* SPDX-License-Identifier: MIT */
/* Structures have the shape that the interface says, in 32 bits as in 64. */
#include <stddef.h>

#include "channel.h"

#define HAS_SIZE(type, size) \
	_Static_assert(sizeof(struct megapipe_##type) == (size), #type)
#define IS_AT(type, member, offset)                                          \
	_Static_assert(offsetof(struct megapipe_##type, member) == (offset), \
		       #type "." #member)

HAS_SIZE(command, 24);
HAS_SIZE(completion, 40);
HAS_SIZE(setup, 16);
HAS_SIZE(buffers, 32);
HAS_SIZE(register, 24);
HAS_SIZE(run, 48);
HAS_SIZE(fd, 8);
HAS_SIZE(socket, 32);
HAS_SIZE(info, 32);
HAS_SIZE(stats, 88);

IS_AT(command, handle, 4);
IS_AT(command, addr, 8);
IS_AT(command, arg, 20);
IS_AT(completion, result, 8);
IS_AT(completion, port, 18);
IS_AT(completion, info, 20);
IS_AT(completion, addr, 24);
IS_AT(register, cookie, 8);
IS_AT(run, timeout_ns, 32);
IS_AT(free, numbers, 4);

void test(void)
{
	struct megapipe_info info;
	int fd = open_device();

	memset(&info, 0xff, sizeof(info));
	CHECK_IS(try_ioctl(fd, MEGAPIPE_IOC_INFO, &info), 0);
	CHECK_IS(info.version, MEGAPIPE_ABI_VERSION);
	CHECK_IS(info.features & ~(MEGAPIPE_FEATURE_LWSOCKET |
				   MEGAPIPE_FEATURE_GETSOCKOPT),
		 0);
	for (int i = 0; i < 6; i++)
		CHECK_IS(info.reserved[i], 0);
	SYS(close(fd));
}
