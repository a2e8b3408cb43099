/* SPDX-License-Identifier: MIT */
/*
 * Disk files are written with the rights that the process has when it asks, not
 * with those of the time when the channel was made. A file's set-user-ID bit
 * shows them: only root's writing leaves it.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "check.h"

static bool keeps_bit(struct mp_channel *ch, struct mp_handle *h, int fd)
{
	struct stat st;

	CHECK_IS(mp_write(h, "x", 1), 0);
	EXPECT(ch, h, MP_WRITE, 1);
	SYS(fstat(fd, &st));
	return st.st_mode & S_ISUID;
}

void test(void)
{
	struct mp_channel *ch;
	char path[300];
	struct mp_handle *h;
	int fd;

	if (geteuid() != 0)
		skip("only root has rights to give up");
	ch = make_channel();
	snprintf(path, sizeof(path), "%s/file", scratch_directory());
	fd = SYS(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	SYS(fchmod(fd, 04755));
	h = make_handle(ch, fd);
	CHECK(keeps_bit(ch, h, fd));
	SYS(seteuid(65534));
	CHECK(!keeps_bit(ch, h, fd));
	SYS(seteuid(0));
	mp_destroy(ch);
	SYS(close(fd));
}
