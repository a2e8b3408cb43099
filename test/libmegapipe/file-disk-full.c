/* SPDX-License-Identifier: MIT */
/* A write that a disk file can't take whole ends with the error, not short. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "check.h"

#define LIMIT 10000

static void limit_file_size(rlim_t size)
{
	struct rlimit limit = { size, RLIM_INFINITY };

	SYS(setrlimit(RLIMIT_FSIZE, &limit));
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	char path[300], bytes[2 * LIMIT] = { 0 };
	struct mp_handle *h;
	int fd;

	snprintf(path, sizeof(path), "%s/file", scratch_directory());
	fd = SYS(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	h = make_handle(ch, fd);
	signal(SIGXFSZ, SIG_IGN);
	limit_file_size(LIMIT);
	CHECK_IS(mp_write(h, bytes, sizeof(bytes)), 0);
	CHECK_IS(mp_write(h, bytes, 1), 0);
	EXPECT(ch, h, MP_WRITE, -EFBIG);
	EXPECT(ch, h, MP_WRITE, -ECANCELED);
	limit_file_size(RLIM_INFINITY);
	CHECK_IS(mp_write(h, bytes, sizeof(bytes)), 0);
	EXPECT(ch, h, MP_WRITE, sizeof(bytes));
	mp_destroy(ch);
	SYS(close(fd));
}
