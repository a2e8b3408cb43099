/* SPDX-License-Identifier: MIT */
/*
 * A UNIX stream socket is listened on, accepted from, and carries bytes both
 * ways.
 */
#include <sys/un.h>

#include "check.h"

static int listen_unix(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = SYS(socket(AF_UNIX, SOCK_STREAM, 0));

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/socket",
		 scratch_directory());
	SYS(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	SYS(listen(fd, 8));
	return fd;
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_unix(), client;
	struct mp_handle *h = make_handle(ch, listener);

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	client = connect_to(listener);
	check_stream(ch, NEXT(ch).result, client);
	mp_destroy(ch);
	SYS(close(listener));
}
