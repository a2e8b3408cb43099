/* SPDX-License-Identifier: MIT */
/*
 * A disk file is read and written at its position, and at an offset by pread
 * and pwrite.
 */
#include <fcntl.h>

#include "check.h"

#define LARGE (4 << 20)

static int open_file(void)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/file", scratch_directory());
	return SYS(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
}

static void check_position(struct mp_channel *ch, struct mp_handle *h, int fd)
{
	char text[16] = "";

	CHECK_IS(mp_write(h, "hello ", 6), 0);
	EXPECT(ch, h, MP_WRITE, 6);
	CHECK_IS(mp_write(h, "world", 5), 0);
	EXPECT(ch, h, MP_WRITE, 5);
	CHECK_IS(lseek(fd, 0, SEEK_CUR), 11);
	SYS(lseek(fd, 0, SEEK_SET));
	CHECK_IS(mp_read(h, text, 8), 0);
	EXPECT(ch, h, MP_READ, 8);
	CHECK_BYTES(text, "hello wo", 8);
	CHECK_IS(mp_read(h, text, 8), 0);
	EXPECT(ch, h, MP_READ, 3);
	CHECK_BYTES(text, "rld", 3);
	CHECK_IS(mp_read(h, text, 8), 0);
	EXPECT(ch, h, MP_READ, 0);
}

static void check_offset(struct mp_channel *ch, struct mp_handle *h, int fd)
{
	char text[16];

	SYS(lseek(fd, 1, SEEK_SET));
	CHECK_IS(mp_pwrite(h, "W", 1, 6), 0);
	EXPECT(ch, h, MP_WRITE, 1);
	CHECK_IS(mp_pread(h, text, sizeof(text), 6), 0);
	EXPECT(ch, h, MP_READ, 5);
	CHECK_BYTES(text, "World", 5);
	CHECK_IS(mp_pread(h, text, sizeof(text), 1000), 0);
	EXPECT(ch, h, MP_READ, 0);
	CHECK_IS(lseek(fd, 0, SEEK_CUR), 1);
	CHECK_IS(mp_pread(h, text, sizeof(text), -1), -EINVAL);
	CHECK_IS(mp_pwrite(h, text, sizeof(text), -1), -EINVAL);
}

static void check_large(struct mp_channel *ch, struct mp_handle *h)
{
	char *bytes = malloc(LARGE);

	fill(bytes, LARGE, 3);
	CHECK_IS(mp_pwrite(h, bytes, LARGE, 0), 0);
	EXPECT(ch, h, MP_WRITE, LARGE);
	memset(bytes, 0, LARGE);
	CHECK_IS(mp_pread(h, bytes, LARGE, 0), 0);
	EXPECT(ch, h, MP_READ, LARGE);
	check_filled(bytes, LARGE, 3);
	free(bytes);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int fd = open_file();
	struct mp_handle *h = make_handle(ch, fd);
	struct mp_event ev;

	check_position(ch, h, fd);
	check_offset(ch, h, fd);
	check_large(ch, h);
	SYS(lseek(fd, 100, SEEK_SET));
	CHECK_IS(mp_recv(h), 0);
	ev = EXPECT(ch, h, MP_RECV, MP_BUFFER_SIZE_DEFAULT);
	check_filled(ev.recv.data, ev.result, 103);
	CHECK_IS(mp_release(ch, &ev), 0);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	mp_destroy(ch);
}
