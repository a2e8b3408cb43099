/* SPDX-License-Identifier: MIT */
/*
 * Writes with O_APPEND go to the end of the file and leave the position behind
 * what they wrote, as write() does, also that of a duplicate.
 */
#include <fcntl.h>

#include "check.h"

static int open_file(int flags)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/file", scratch_directory());
	return SYS(open(path, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0600));
}

static void check_content(int fd, const char *want)
{
	char text[64] = "";

	SYS(pread(fd, text, sizeof(text) - 1, 0));
	CHECK(!strcmp(text, want));
}

void test(void)
{
	struct iovec iov[2] = { { "c", 1 }, { "de", 2 } };
	struct mp_channel *ch = make_channel();
	int fd = open_file(O_APPEND), copy = SYS(dup(fd));
	struct mp_handle *h = make_handle(ch, fd);

	SYS(write(fd, "0123456789", 10));
	SYS(lseek(fd, 3, SEEK_SET));
	CHECK_IS(mp_write(h, "ab", 2), 0);
	EXPECT(ch, h, MP_WRITE, 2);
	CHECK_IS(lseek(fd, 0, SEEK_CUR), 12);
	SYS(lseek(fd, 0, SEEK_SET));
	CHECK_IS(mp_writev(h, iov, 2), 0);
	CHECK_IS(mp_write(h, "f", 1), 0);
	EXPECT(ch, h, MP_WRITE, 3);
	EXPECT(ch, h, MP_WRITE, 1);
	CHECK_IS(lseek(copy, 0, SEEK_CUR), 16);
	check_content(fd, "0123456789abcdef");
	SYS(fcntl(fd, F_SETFL, 0));
	SYS(lseek(copy, 1, SEEK_SET));
	CHECK_IS(mp_write(h, "XY", 2), 0);
	EXPECT(ch, h, MP_WRITE, 2);
	CHECK_IS(lseek(fd, 0, SEEK_CUR), 3);
	check_content(fd, "0XY3456789abcdef");
	mp_destroy(ch);
	SYS(close(fd));
	SYS(close(copy));
}
