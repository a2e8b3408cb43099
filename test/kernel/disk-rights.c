/* SPDX-License-Identifier: MIT */
/*
 * What is written to a disk file is written by the process, with its rights:
 * a set-user-ID bit goes, as it does by write().
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "channel.h"
#include "processes.h"

static char bytes[1 << 20];

static mode_t mode_after(int ch, const char *path, size_t size)
{
	int fd = SYS(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0700));
	struct stat st;
	uint32_t h;

	SYS(fchmod(fd, 06755));
	h = add(ch, fd, 1);
	CHECK_IS(OUTCOME(ch, WRITE, h, BYTES(bytes, size)), size);
	SYS(fstat(fd, &st));
	drop(ch, h);
	SYS(close(fd));
	SYS(unlink(path));
	return st.st_mode & 07777;
}

static void be_nobody(void *arg)
{
	int ch = open_device();
	char path[300];

	become(NOBODY);
	CHECK_IS(try_setup(ch, LWSOCKETS), 0);
	snprintf(path, sizeof(path), "%s/file", (char *)arg);
	CHECK_IS(mode_after(ch, path, 1), 0755);
	CHECK_IS(mode_after(ch, path, sizeof(bytes)), 0755);
}

void test(void)
{
	char folder[300];

	need_root();
	snprintf(folder, sizeof(folder), "%s", scratch_directory());
	SYS(chmod(folder, 0777));
	in_child(be_nobody, folder);
}
