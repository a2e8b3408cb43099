/* SPDX-License-Identifier: MIT */
/*
 * Accepted descriptors that weren't reported yet are not in a child: nobody
 * there would close them. What was reported is the caller's, as after
 * accept().
 */
#include <fcntl.h>

#include "check.h"

#define CLIENTS 40

void test(void)
{
	int listen_fd = listen_tcp(AF_INET), clients[CLIENTS], before;
	struct mp_channel *ch = make_channel();
	struct mp_handle *listener = make_handle(ch, listen_fd);
	pid_t child;
	int fds[CLIENTS];

	CHECK_IS(mp_accept(listener, MP_ACCEPT_ALL, false), 0);
	EXPECT_NONE(ch);
	before = open_fds();
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_to(listen_fd);
	fds[0] = NEXT(ch).result;
	CHECK_IS(mp_flush(ch), 0);
	child = SYS(fork());
	if (child == 0) {
		/* one is reported, and one was the engine's */
		CHECK_IS(open_fds(), before + CLIENTS + 1 - 1);
		CHECK(is_open(fds[0]));
		_exit(0);
	}
	child_passes(child);
	for (int i = 1; i < CLIENTS; i++)
		fds[i] = NEXT(ch).result;
	child = SYS(fork());
	if (child == 0) {
		for (int i = 0; i < CLIENTS; i++)
			CHECK(is_open(fds[i]));
		_exit(0);
	}
	child_passes(child);
	for (int i = 0; i < CLIENTS; i++) {
		SYS(close(fds[i]));
		receive_end(clients[i]);
		SYS(close(clients[i]));
	}
	mp_destroy(ch);
	SYS(close(listen_fd));
}
