/* SPDX-License-Identifier: MIT */
/*
 * MP_ACCEPT_ALL goes on until count 0 stops it; no event comes then, and no
 * connection is lost: asked again, all of them are accepted.
 */
#include "check.h"

#define CLIENTS 40

static int clients[CLIENTS];

static void connect_all(int listener, int from, int to)
{
	for (int i = from; i < to; i++)
		clients[i] = connect_to(listener);
}

/* Events of what was accepted before the stop may still come. */
static int take_accepted(struct mp_channel *ch)
{
	struct mp_event ev;
	int count = 0;

	for (; mp_dispatch(ch, &ev, QUIET_US) == 1; count++) {
		CHECK(ev.cmd == MP_ACCEPT && ev.result >= 0);
		SYS(close(ev.result));
	}
	return count;
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET), got;
	struct mp_handle *h = make_handle(ch, listener);

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	CHECK_IS(mp_flush(ch), 0);
	connect_all(listener, 0, CLIENTS / 2);
	SYS(close(NEXT(ch).result));
	CHECK_IS(mp_accept(h, 0, false), 0);
	got = 1 + take_accepted(ch);
	connect_all(listener, CLIENTS / 2, CLIENTS);
	EXPECT_NONE(ch);
	CHECK(got < CLIENTS);

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	for (; got < CLIENTS; got++)
		SYS(close(NEXT(ch).result));
	for (int i = 0; i < CLIENTS; i++) {
		receive_end(clients[i]);
		SYS(close(clients[i]));
	}
	EXPECT_NONE(ch);
	mp_destroy(ch);
	SYS(close(listener));
}
