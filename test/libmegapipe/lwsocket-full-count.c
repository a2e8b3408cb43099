/* SPDX-License-Identifier: MIT */
/*
 * A counted accept of lwsockets pauses when they are full, and still gets its
 * count.
 */
#include "check.h"

#define CLIENTS 12

/* All but one; which one, is up to the order in which they were queued. */
static void wait_ended(const int clients[CLIENTS])
{
	int ended;

	do {
		ended = 0;
		for (int i = 0; i < CLIENTS; i++)
			ended += readable(clients[i], QUIET_US / 1000);
	} while (ended < CLIENTS - 1);
	CHECK_IS(ended, CLIENTS - 1);
}

void test(void)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .max_lwsockets = 2 });
	int listener = listen_tcp(AF_INET), clients[CLIENTS];
	struct mp_handle *h = make_handle(ch, listener), *conn;

	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_to(listener);
	wait_queued(listener, CLIENTS);
	CHECK_IS(mp_accept(h, CLIENTS - 1, true), 0);
	for (int i = 0; i < CLIENTS - 1; i++) {
		struct mp_event ev = NEXT(ch);

		CHECK(ev.cmd == MP_ACCEPT && ev.result >= MP_LWSOCKET_BASE);
		conn = make_handle(ch, ev.result);
		CHECK_IS(mp_unregister(conn), 0);
	}
	EXPECT_NONE(ch);
	wait_ended(clients);
	mp_destroy(ch);
	SYS(close(listener));
}
