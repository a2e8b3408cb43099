/* SPDX-License-Identifier: MIT */
/*
 * A pidfd tells that its process has ended. Some kernels call it a regular
 * file, which a disk file isn't to be taken for, nor the other way round.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "check.h"

static void check_process(struct mp_channel *ch)
{
	pid_t child = SYS(fork());
	struct mp_handle *h;
	int fd;

	if (!child) {
		pause();
		_exit(0);
	}
	fd = SYS(syscall(SYS_pidfd_open, child, 0));
	h = make_handle(ch, fd);
	CHECK_IS(mp_poll(h, POLLIN), 0);
	EXPECT_NONE(ch);
	SYS(kill(child, SIGKILL));
	CHECK(NEXT(ch).result & POLLIN);
	SYS(waitpid(child, NULL, 0));
	mp_unregister(h);
	SYS(close(fd));
}

static void check_disk_file(struct mp_channel *ch, int flags)
{
	char path[300];
	struct mp_handle *h;
	int fd;

	snprintf(path, sizeof(path), "%s/file", scratch_directory());
	fd = SYS(open(path, flags | O_CREAT | O_CLOEXEC, 0600));
	h = make_handle(ch, fd);
	CHECK_IS(mp_poll(h, POLLIN), -EPERM);
	mp_unregister(h);
	SYS(close(fd));
}

void test(void)
{
	struct mp_channel *ch = make_channel();

	check_process(ch);
	check_disk_file(ch, O_RDWR);
	check_disk_file(ch, O_WRONLY);
	mp_destroy(ch);
}
