/* SPDX-License-Identifier: MIT */
/*
 * A limit on the size of files, and a disk that is full, end a write with an
 * error, wherever it is carried out.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "channel.h"

#define LIMIT 5000

static int ch;
static char bytes[4 << 20];

static int64_t write_at(uint32_t h, int64_t offset, size_t size)
{
	struct iovec iov = { bytes, size };
	struct megapipe_at at = { .vector = ADDRESS(&iov),
				  .count = 1,
				  .offset = offset };

	return OUTCOME(ch, WRITE, h, .addr = ADDRESS(&at),
		       .flags = MEGAPIPE_F_AT);
}

static int open_in(const char *folder)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/file", folder);
	return SYS(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

static void check_size_limit(void)
{
	int fd = open_in(scratch_directory());
	uint32_t h = add(ch, fd, 1);
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	SYS(getrlimit(RLIMIT_FSIZE, &limit));
	limit.rlim_cur = LIMIT;
	SYS(setrlimit(RLIMIT_FSIZE, &limit));
	CHECK_IS(write_at(h, 0, LIMIT), LIMIT);
	CHECK_IS(write_at(h, LIMIT, 1), -EFBIG);
	CHECK_IS(write_at(h, LIMIT - 10, 100), -EFBIG);
	SYS(lseek(fd, LIMIT, SEEK_SET));
	CHECK_IS(OUTCOME(ch, WRITE, h, BYTES(bytes, 1)), -EFBIG);
	CHECK_IS(SYS(lseek(fd, 0, SEEK_END)), LIMIT);
	limit.rlim_cur = limit.rlim_max;
	SYS(setrlimit(RLIMIT_FSIZE, &limit));
	CHECK_IS(write_at(h, LIMIT, 1), 1);
}

static void check_full_disk(void)
{
	char folder[300];
	uint32_t h;

	snprintf(folder, sizeof(folder), "%s/small", scratch_directory());
	SYS(mkdir(folder, 0700));
	if (mount("tmpfs", folder, "tmpfs", 0, "size=1m") < 0) {
		printf("no full disk: mount: %s\n", strerror(errno));
		return;
	}
	h = add(ch, open_in(folder), 1);
	CHECK_IS(write_at(h, 0, sizeof(bytes)), -ENOSPC);
	CHECK_IS(write_at(h, 0, 4096), 4096);
	SYS(umount2(folder, MNT_DETACH));
	drop(ch, h);
}

void test(void)
{
	ch = new_channel();
	check_size_limit();
	check_full_disk();
	SYS(close(ch));
}
