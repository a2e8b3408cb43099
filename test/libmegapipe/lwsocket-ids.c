/* SPDX-License-Identifier: MIT */
/*
 * lwsockets are numbered from MP_LWSOCKET_BASE, each differently, and work
 * like sockets.
 */
#include "check.h"

#define CLIENTS 30

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET), ids[CLIENTS], clients[CLIENTS];
	struct mp_handle *h = make_handle(ch, listener);

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, true), 0);
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = connect_to(listener);
		ids[i] = NEXT(ch).result;
		CHECK(ids[i] >= MP_LWSOCKET_BASE && !is_open(ids[i]));
		for (int k = 0; k < i; k++)
			CHECK(ids[k] != ids[i]);
	}
	CHECK_IS(stats_of(ch).lwsockets, CLIENTS);
	CHECK_IS(stats_of(ch).accepted, CLIENTS);
	for (int i = 0; i < CLIENTS / 2; i++)
		CHECK_IS(mp_handle_id(make_handle(ch, ids[i])), ids[i]);
	for (int i = CLIENTS / 2; i < CLIENTS; i++)
		check_stream(ch, ids[i], clients[i]);
	CHECK_IS(stats_of(ch).lwsockets, CLIENTS / 2);
	mp_destroy(ch);
	SYS(close(listener));
}
