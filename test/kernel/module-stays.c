/* SPDX-License-Identifier: MIT */
/* The module can't be removed while anything of it is in use. */
#include <fcntl.h>
#include <sys/syscall.h>

#include "channel.h"
#include "machine.h"
#include "processes.h"

static void check_stays(void)
{
	CHECK_IS(TRY_SYS(syscall(SYS_delete_module, "megapipe", O_NONBLOCK)),
		 -EAGAIN);
	CHECK(module_users() > 0);
}

void test(void)
{
	int fd, ch;

	need_root();
	fd = open_device();
	check_stays();
	ch = new_channel();
	SYS(close(fd));
	check_stays();
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_END, NULL), 0);
	check_stays();
	SYS(close(ch));
	await_module_users(0);
}
