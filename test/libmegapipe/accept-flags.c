/* SPDX-License-Identifier: MIT */
/* What accept reports as an fd is close-on-exec and blocking. */
#include <fcntl.h>

#include "check.h"

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET), client, fd;
	struct mp_handle *h = make_handle(ch, listener);

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	client = connect_to(listener);
	fd = NEXT(ch).result;
	CHECK(SYS(fcntl(fd, F_GETFD)) & FD_CLOEXEC);
	CHECK(!(SYS(fcntl(fd, F_GETFL)) & O_NONBLOCK));
	SYS(close(client));
	SYS(close(fd));
	mp_destroy(ch);
	SYS(close(listener));
}
