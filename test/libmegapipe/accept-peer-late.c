/* SPDX-License-Identifier: MIT */
/*
 * A connection that was accepted while none was asked for, and whose peer's
 * name comes when one is asked for again, is reported.
 */
#include "check.h"

void test(void)
{
	struct mp_options options = { .accept_peer = true, .batch = 1 };
	struct mp_channel *ch = make_channel_with(options);
	int listen_fd = listen_tcp(AF_INET), pipes[2], client;
	struct mp_handle *listener = make_handle(ch, listen_fd), *reader;
	struct mp_event ev;
	char byte;

	SYS(pipe(pipes));
	reader = make_handle(ch, pipes[0]);
	CHECK_IS(mp_accept(listener, MP_ACCEPT_ALL, false), 0);
	CHECK_IS(mp_read(reader, &byte, 1), 0);
	EXPECT_NONE(ch);
	/* Both come with one fetch, and an unbatched channel takes one. */
	SYS(write(pipes[1], "x", 1));
	client = connect_to(listen_fd);
	EXPECT(ch, reader, MP_READ, 1);
	CHECK_IS(mp_accept(listener, 0, false), 0);
	CHECK_IS(mp_dispatch(ch, &ev, 0), 0);
	CHECK_IS(mp_accept(listener, MP_ACCEPT_ALL, false), 0);
	ev = NEXT(ch);
	CHECK(ev.cmd == MP_ACCEPT && ev.handle == listener);
	CHECK(ev.result >= 0);
	SYS(close(ev.result));
	receive_end(client);
	SYS(close(client));
	mp_destroy(ch);
	SYS(close(listen_fd));
	SYS(close(pipes[0]));
	SYS(close(pipes[1]));
}
