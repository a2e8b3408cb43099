/* SPDX-License-Identifier: MIT */
/*
 * A counted accept of lwsockets pauses when they are full, and still gets its
 * count.
 */
#include "check.h"

#define CLIENTS 12

void test(void)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .max_lwsockets = 2 });
	int listener = listen_tcp(AF_INET), clients[CLIENTS];
	struct mp_handle *h = make_handle(ch, listener), *conn;

	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_to(listener);
	CHECK_IS(mp_accept(h, CLIENTS - 1, true), 0);
	for (int i = 0; i < CLIENTS - 1; i++) {
		struct mp_event ev = NEXT(ch);

		CHECK(ev.cmd == MP_ACCEPT && ev.result >= MP_LWSOCKET_BASE);
		conn = make_handle(ch, ev.result);
		CHECK_IS(mp_unregister(conn), 0);
	}
	EXPECT_NONE(ch);
	for (int i = 0; i < CLIENTS - 1; i++)
		receive_end(clients[i]);
	CHECK(!readable(clients[CLIENTS - 1], QUIET_US / 1000));
	mp_destroy(ch);
	SYS(close(listener));
}
