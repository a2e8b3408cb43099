/* SPDX-License-Identifier: MIT */
/* What isn't an open file can't be registered, and says why. */
#include <fcntl.h>

#include "check.h"

static void check_refused(struct mp_channel *ch, int fd, int error)
{
	struct mp_handle *h = NULL;

	CHECK_IS(mp_register(ch, fd, NULL, NULL, &h), error);
	CHECK(h == NULL);
	CHECK_IS(stats_of(ch).handles, 0);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int closed = SYS(dup(0)), directory = SYS(open("/", O_RDONLY));

	SYS(close(closed));
	check_refused(ch, -1, -EBADF);
	check_refused(ch, INT32_MIN, -EBADF);
	check_refused(ch, closed, -EBADF);
	check_refused(ch, MP_LWSOCKET_BASE - 1, -EBADF);
	check_refused(ch, directory, -EISDIR);
	mp_destroy(ch);
	SYS(close(directory));
}
