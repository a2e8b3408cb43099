/* SPDX-License-Identifier: MIT */
/* Files that a channel can't have are refused, and others are kept right. */
#include <fcntl.h>
#include <sys/epoll.h>

#include "channel.h"

static int ch;

static void refused(int fd, int error)
{
	uint32_t h;

	CHECK_IS(try_add(ch, fd, 1, &h), error);
	CHECK_IS(stats_now(ch).files, 0);
}

void test(void)
{
	struct megapipe_register reg = { .fd = 0, .handle = 1 };
	char path[300];
	int pair[2];

	snprintf(path, sizeof(path), "%s/file", scratch_directory());
	ch = new_channel();
	refused(-1, -EBADF);
	refused(1000, -EBADF);
	refused(INT32_MAX, -EBADF);
	refused(INT32_MIN, -EBADF);
	refused(SYS(open("/", O_PATH | O_CLOEXEC)), -EBADF);
	refused(SYS(open("/proc/self/exe", O_PATH | O_CLOEXEC)), -EBADF);
	refused(SYS(open("/", O_RDONLY | O_DIRECTORY)), -EPERM);
	refused(SYS(open("/dev/null", O_RDWR)), -EPERM);
	refused(SYS(open("/proc/self/exe", O_RDONLY)), -EPERM);
	refused(SYS(open("/proc/sys/kernel/hostname", O_RDONLY)), -EPERM);
	refused(SYS(open(path, O_RDWR | O_CREAT, 0600)), -EPERM);
	refused(ch, -ELOOP);
	refused(open_device(), -ELOOP);
	refused(new_channel(), -ELOOP);
	unix_pair(pair, SOCK_STREAM);
	reg.fd = pair[0];
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_REGISTER, &reg), -EINVAL);
	check_usable(ch);
	SYS(close(ch));
}
