/* SPDX-License-Identifier: MIT */
/*
 * Two listening sockets, both with many connections, share the lwsockets that
 * come free: neither gets more than two thirds.
 */
#include "check.h"

#define LWSOCKETS 8
#define CONNECTIONS 120

static int listeners[2], counts[2];

static void refill(int which)
{
	/* the client's end may be closed at once: what counts is who accepts */
	SYS(close(connect_to(listeners[which])));
}

static void serve_one(struct mp_channel *ch)
{
	struct mp_event ev = NEXT(ch);
	int which = ev.cookie == &listeners[1];

	if (ev.cmd == MP_CLOSE)
		return;
	CHECK_IS(ev.cmd, MP_ACCEPT);
	CHECK(ev.result >= 0);
	counts[which]++;
	CHECK_IS(mp_close(make_handle(ch, ev.result)), 0);
	refill(which);
}

void test(void)
{
	struct mp_channel *ch = make_channel_with(
		(struct mp_options){ .max_lwsockets = LWSOCKETS });

	for (int i = 0; i < 2; i++) {
		struct mp_handle *h;

		listeners[i] = listen_tcp(AF_INET);
		for (int n = 0; n < 4 * LWSOCKETS; n++)
			refill(i);
		wait_queued(listeners[i], 4 * LWSOCKETS);
		CHECK_IS(mp_register(ch, listeners[i], &listeners[i], NULL, &h),
			 0);
		CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, true), 0);
	}
	while (counts[0] + counts[1] < CONNECTIONS)
		serve_one(ch);
	printf("%d to %d\n", counts[0], counts[1]);
	CHECK(counts[0] >= CONNECTIONS / 3);
	CHECK(counts[1] >= CONNECTIONS / 3);
	mp_destroy(ch);
}
