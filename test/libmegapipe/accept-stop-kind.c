/* SPDX-License-Identifier: MIT */
/*
 * What was accepted of one kind and not delivered when accepting stopped is
 * never reported as the other kind asked for next, nor lost: it keeps the
 * listener busy until it is asked for as what it is.
 */
#include "check.h"

#define CLIENTS 60

static int clients[CLIENTS];

static int take(struct mp_channel *ch, struct mp_event ev, bool is_lwsocket)
{
	struct mp_handle *h;

	CHECK(ev.cmd == MP_ACCEPT && ev.result >= 0);
	CHECK((ev.result >= MP_LWSOCKET_BASE) == is_lwsocket);
	h = make_handle(ch, ev.result);
	CHECK_IS(mp_close(h), 0);
	return 1;
}

static int take_all(struct mp_channel *ch, bool is_lwsocket)
{
	struct mp_event ev;
	int count = 0;

	while (mp_dispatch(ch, &ev, QUIET_US) == 1)
		count += ev.cmd == MP_CLOSE ? 0 : take(ch, ev, is_lwsocket);
	return count;
}

static int take_one(struct mp_channel *ch, bool is_lwsocket)
{
	struct mp_event ev;

	do
		ev = NEXT(ch);
	while (ev.cmd == MP_CLOSE);
	return take(ch, ev, is_lwsocket);
}

static void check_change(bool first)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET), got = 0;
	struct mp_handle *h = make_handle(ch, listener);

	CHECK_IS(mp_accept(h, 1, first), 0);
	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, first), 0);
	CHECK_IS(mp_flush(ch), 0);
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_to(listener);
	got += take(ch, NEXT(ch), first);
	CHECK_IS(mp_accept(h, 0, first), 0);
	got += take_all(ch, first);
	CHECK(got <= CLIENTS);
	while (mp_accept(h, MP_ACCEPT_ALL, !first) == -EBUSY) {
		CHECK(got < CLIENTS);
		CHECK_IS(mp_accept(h, 1, first), 0);
		got += take_one(ch, first);
	}
	while (got < CLIENTS)
		got += take_one(ch, !first);
	got += take_all(ch, !first);
	CHECK_IS(got, CLIENTS);
	for (int i = 0; i < CLIENTS; i++) {
		receive_end(clients[i]);
		SYS(close(clients[i]));
	}
	mp_destroy(ch);
	SYS(close(listener));
}

void test(void)
{
	check_change(false);
	check_change(true);
}
