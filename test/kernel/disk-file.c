/* SPDX-License-Identifier: MIT */
/* Disk files are read and written at places, at their position, at their end.
 */
#include <fcntl.h>

#include "channel.h"

#define LARGE (3 << 20)

static int ch;
static char path[300], large[LARGE];

static struct megapipe_at at(struct iovec *iov, int count, int64_t offset)
{
	return (struct megapipe_at){ .vector = ADDRESS(iov),
				     .count = count,
				     .offset = offset };
}

#define AT(place) .addr = ADDRESS(place), .flags = MEGAPIPE_F_AT

static int open_file(int flags)
{
	return SYS(open(path, flags | O_CREAT | O_CLOEXEC, 0600));
}

static void check_places(uint32_t h, int fd)
{
	char text[16] = "";
	struct iovec out[2] = { { "hello ", 6 }, { "world", 5 } };
	struct iovec in[2] = { { text, 2 }, { text + 2, 14 } };
	struct megapipe_at there = at(out, 2, 100), back = at(in, 2, 103);

	CHECK_IS(OUTCOME(ch, WRITE, h, AT(&there)), 11);
	CHECK_IS(OUTCOME(ch, READ, h, AT(&back)), 8);
	CHECK_BYTES(text, "lo world", 8);
	back.offset = 111;
	CHECK_IS(OUTCOME(ch, READ, h, AT(&back)), 0);
	back.offset = 1ll << 40;
	CHECK_IS(OUTCOME(ch, READ, h, AT(&back)), 0);
	CHECK_IS(SYS(lseek(fd, 0, SEEK_CUR)), 0);
	CHECK_IS(SYS(lseek(fd, 0, SEEK_END)), 111);
}

/* Without a place, or with -1, it goes on where the file is. */
static void check_position(uint32_t h, int fd)
{
	char text[16];
	struct iovec in = { text, 5 };
	struct megapipe_at here = at(&in, 1, -1);

	SYS(lseek(fd, 100, SEEK_SET));
	CHECK_IS(OUTCOME(ch, READ, h, BYTES(text, 6)), 6);
	CHECK_BYTES(text, "hello ", 6);
	CHECK_IS(OUTCOME(ch, READ, h, AT(&here)), 5);
	CHECK_BYTES(text, "world", 5);
	CHECK_IS(SYS(lseek(fd, 0, SEEK_CUR)), 111);
	CHECK_IS(OUTCOME(ch, WRITE, h, BYTES("!", 1)), 1);
	CHECK_IS(OUTCOME(ch, READ, h, BYTES(text, 5)), 0);
	CHECK_IS(SYS(lseek(fd, 0, SEEK_CUR)), 112);
}

static void check_large(uint32_t h, int fd)
{
	struct iovec iov[2] = { { large, 1 << 20 },
				{ large + (1 << 20), LARGE - (1 << 20) } };
	struct megapipe_at start = at(iov, 2, 0);

	fill(large, LARGE, 0);
	CHECK_IS(OUTCOME(ch, WRITE, h, AT(&start)), LARGE);
	memset(large, 0, LARGE);
	CHECK_IS(OUTCOME(ch, READ, h, AT(&start)), LARGE);
	check_filled(large, LARGE, 0);
	SYS(lseek(fd, 0, SEEK_SET));
	memset(large, 0, LARGE);
	CHECK_IS(OUTCOME(ch, READ, h, VECTOR(iov, 2)), LARGE);
	check_filled(large, LARGE, 0);
}

static void check_append(void)
{
	int fd = open_file(O_RDWR | O_APPEND | O_TRUNC);
	uint32_t h = add(ch, fd, 1);
	struct iovec out = { "b", 1 };
	struct megapipe_at start = at(&out, 1, 0);
	char text[4];

	CHECK_IS(OUTCOME(ch, WRITE, h, BYTES("a", 1)), 1);
	SYS(lseek(fd, 0, SEEK_SET));
	CHECK_IS(OUTCOME(ch, WRITE, h, BYTES("c", 1)), 1);
	CHECK_IS(OUTCOME(ch, WRITE, h, AT(&start)), 1);
	CHECK_IS(SYS(pread(fd, text, 4, 0)), 3);
	CHECK_BYTES(text, "acb", 3);
	ASK(ch, CLOSE, h, .arg = fd);
	COMPLETES(ch, 1, CLOSE, 0);
	CHECK(!is_open(fd));
}

/* It does what its descriptor may, and no more. */
static void check_modes(void)
{
	char text[4];

	CHECK_IS(OUTCOME(ch, WRITE, add(ch, open_file(O_RDONLY), 1),
			 BYTES("x", 1)),
		 -EBADF);
	CHECK_IS(OUTCOME(ch, READ, add(ch, open_file(O_WRONLY), 1),
			 BYTES(text, 1)),
		 -EBADF);
}

/* Always ready: there is nothing to poll for. */
static void check_no_poll(uint32_t h)
{
	CHECK_IS(OUTCOME(ch, POLL, h, .arg = POLLIN), -EPERM);
}

static void check_recv(uint32_t h, int fd)
{
	struct pool pool = give_buffers(ch, 2, 50);
	struct megapipe_completion c;

	SYS(lseek(fd, 1000, SEEK_SET));
	ASK(ch, RECV, h);
	c = COMPLETES(ch, 1, RECV, 50);
	check_filled(buffer_at(&pool, c.info), 50, 1000);
	CHECK_IS(pool.stack->count, 1);
	CHECK_IS(SYS(lseek(fd, 0, SEEK_CUR)), 1050);
}

void test(void)
{
	struct megapipe_register reg = { .cookie = 1 };

	ch = new_channel();
	snprintf(path, sizeof(path), "%s/file", scratch_directory());
	reg.fd = open_file(O_RDWR);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_REGISTER, &reg), 0);
	CHECK_IS(reg.kind, MEGAPIPE_KIND_DISK);
	check_places(reg.handle, reg.fd);
	check_position(reg.handle, reg.fd);
	check_large(reg.handle, reg.fd);
	check_recv(reg.handle, reg.fd);
	check_no_poll(reg.handle);
	check_append();
	check_modes();
	SYS(close(ch));
}
