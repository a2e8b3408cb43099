/* SPDX-License-Identifier: MIT */
/* Many sockets of one channel connect to a listener of the same channel. */
#include "check.h"

#define CLIENTS 200

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET), accepted = 0, connected = 0;
	struct address a = address_of(listener);
	struct mp_handle *h = make_handle(ch, listener);

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	for (int i = 0; i < CLIENTS; i++) {
		struct mp_handle *client =
			make_handle(ch, SYS(socket(AF_INET, SOCK_STREAM, 0)));

		CHECK_IS(mp_connect(client, (struct sockaddr *)&a.storage,
				    a.len),
			 0);
	}
	while (accepted < CLIENTS || connected < CLIENTS) {
		struct mp_event ev = NEXT(ch);

		CHECK(ev.result >= 0);
		CHECK(ev.cmd == (ev.handle == h ? MP_ACCEPT : MP_CONNECT));
		accepted += ev.cmd == MP_ACCEPT;
		connected += ev.cmd == MP_CONNECT;
	}
	CHECK_IS(accepted, CLIENTS);
	CHECK_IS(connected, CLIENTS);
	mp_destroy(ch);
}
