/* SPDX-License-Identifier: MIT */
/*
 * Only accepting fixes whether connections come as lwsockets: a poll in flight
 * doesn't, and neither does accepting that was counted and is over.
 */
#include <poll.h>

#include "check.h"

static void accept_one(struct mp_channel *ch, struct mp_handle *h, int listener,
		       bool is_lwsocket)
{
	int client;
	struct mp_event ev;

	CHECK_IS(mp_accept(h, 1, is_lwsocket), 0);
	client = connect_to(listener);
	do
		ev = NEXT(ch);
	while (ev.cmd == MP_POLL);
	CHECK_IS(ev.cmd, MP_ACCEPT);
	CHECK(ev.result >= 0);
	CHECK_IS(ev.result >= MP_LWSOCKET_BASE, is_lwsocket);
	if (is_lwsocket)
		CHECK_IS(mp_unregister(make_handle(ch, ev.result)), 0);
	else
		SYS(close(ev.result));
	SYS(close(client));
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET);
	struct mp_handle *h = make_handle(ch, listener);

	CHECK_IS(mp_poll(h, POLLIN), 0);
	EXPECT_NONE(ch);
	accept_one(ch, h, listener, true);
	accept_one(ch, h, listener, false);
	accept_one(ch, h, listener, true);
	CHECK_IS(mp_accept(h, 1, true), 0);
	CHECK_IS(mp_accept(h, 1, false), -EBUSY);
	mp_destroy(ch);
	SYS(close(listener));
}
