/* SPDX-License-Identifier: MIT */
/*
 * Many more listening sockets than lwsockets: each of them answers while one
 * lwsocket is free, whichever were asked first, and whatever their backlogs.
 */
#include "check.h"

#define LISTENERS 300
#define LWSOCKETS 4

static int listeners[LISTENERS];

/* Serve the connection that comes next. */
static void serve(struct mp_channel *ch, int which)
{
	struct mp_event ev = NEXT(ch);
	struct mp_handle *h;

	CHECK_IS(ev.cmd, MP_ACCEPT);
	CHECK(ev.result >= MP_LWSOCKET_BASE);
	CHECK(ev.cookie == &listeners[which]);
	CHECK_IS(mp_register(ch, ev.result, NULL, NULL, &h), 0);
	CHECK_IS(mp_write(h, "ok", 2), 0);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_WRITE, 2);
	EXPECT(ch, h, MP_CLOSE, 0);
}

static void visit(struct mp_channel *ch, int which)
{
	int client = connect_to(listeners[which]);
	char text[2];

	serve(ch, which);
	receive_all(client, text, sizeof(text));
	receive_end(client);
	SYS(close(client));
}

static void listen_on_all(struct mp_channel *ch)
{
	for (int i = 0; i < LISTENERS; i++) {
		struct mp_handle *h;

		listeners[i] = listen_tcp(AF_INET);
		SYS(listen(listeners[i], i % 3 ? 511 : 1));
		CHECK_IS(mp_register(ch, listeners[i], &listeners[i], NULL, &h),
			 0);
		CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, true), 0);
	}
}

void test(void)
{
	struct mp_channel *ch = make_channel_with(
		(struct mp_options){ .max_lwsockets = LWSOCKETS });
	struct mp_handle *held[LWSOCKETS - 1];
	int clients[LWSOCKETS - 1];

	listen_on_all(ch);
	EXPECT_NONE(ch);
	for (int i = LISTENERS; i-- > 0;)
		visit(ch, i);
	CHECK_IS(stats_of(ch).lwsocket_waits, 0);
	/* ... the last one, too */
	for (int i = 0; i < LWSOCKETS - 1; i++) {
		clients[i] = connect_to(listeners[0]);
		held[i] = make_handle(ch, NEXT(ch).result);
	}
	for (int i = 0; i < LISTENERS; i += 7)
		visit(ch, i);
	for (int i = 0; i < LWSOCKETS - 1; i++) {
		CHECK_IS(mp_unregister(held[i]), 0);
		SYS(close(clients[i]));
	}
	mp_destroy(ch);
}
