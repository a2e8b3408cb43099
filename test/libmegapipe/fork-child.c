/* SPDX-License-Identifier: MIT */
/* A child process that inherits a channel, and goes, doesn't disturb it. */
#include <sys/wait.h>

#include "check.h"

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h, *listener;
	int pair[2], listen_fd = listen_tcp(AF_INET), status;
	char texts[2][8];
	pid_t child;

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	listener = make_handle(ch, listen_fd);
	CHECK_IS(mp_accept(listener, MP_ACCEPT_ALL, true), 0);
	CHECK_IS(mp_read(h, texts[0], 8), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_read(h, texts[1], 8), 0);
	CHECK_IS(mp_write(h, "collected", 9), 0);
	child = SYS(fork());
	if (child == 0)
		_exit(0);
	SYS(waitpid(child, &status, 0));
	EXPECT(ch, h, MP_WRITE, 9);
	send_all(pair[1], "after", 5);
	EXPECT(ch, h, MP_READ, 5);
	CHECK_BYTES(texts[0], "after", 5);
	SYS(close(connect_to(listen_fd)));
	CHECK(NEXT(ch).result >= MP_LWSOCKET_BASE);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
