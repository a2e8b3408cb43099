/* SPDX-License-Identifier: MIT */
/*
 * The kind of connections isn't changed while some are asked for, even if no
 * lwsocket is free: what waits for one would be left behind.
 */
#include "check.h"

void test(void)
{
	struct mp_options options = { .max_lwsockets = 1 };
	struct mp_channel *ch = make_channel_with(options);
	int listen_fd = listen_tcp(AF_INET), clients[2];
	struct mp_handle *listener = make_handle(ch, listen_fd), *first;
	struct mp_event ev;

	CHECK_IS(mp_accept(listener, MP_ACCEPT_ALL, true), 0);
	for (int i = 0; i < 2; i++)
		clients[i] = connect_to(listen_fd);
	first = make_handle(ch, NEXT(ch).result);
	EXPECT_NONE(ch);
	CHECK_IS(stats_of(ch).accepts_paused, 1);
	CHECK_IS(mp_accept(listener, MP_ACCEPT_ALL, false), -EBUSY);
	CHECK_IS(mp_accept(listener, 0, true), 0);
	CHECK_IS(mp_accept(listener, MP_ACCEPT_ALL, false), 0);
	ev = NEXT(ch);
	CHECK(ev.cmd == MP_ACCEPT && ev.result >= 0);
	CHECK(ev.result < MP_LWSOCKET_BASE);
	SYS(close(ev.result));
	receive_end(clients[1]);
	CHECK_IS(mp_close(first), 0);
	EXPECT(ch, first, MP_CLOSE, 0);
	receive_end(clients[0]);
	for (int i = 0; i < 2; i++)
		SYS(close(clients[i]));
	mp_destroy(ch);
	SYS(close(listen_fd));
}
