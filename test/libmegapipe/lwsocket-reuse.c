/* SPDX-License-Identifier: MIT */
/*
 * A closed lwsocket is free again: thousands of connections pass through a
 * few, none mixed up.
 */
#include "check.h"

#define MAX 8
#define CONNECTIONS 2000

static void serve(struct mp_channel *ch, int listener, int i)
{
	int client = connect_to(listener), sent = i, got = -1;
	struct mp_event ev = NEXT(ch);
	struct mp_handle *h = make_handle(ch, ev.result);

	CHECK_IS(mp_recv(h), 0);
	send_all(client, &sent, sizeof(sent));
	ev = EXPECT(ch, h, MP_RECV, sizeof(sent));
	memcpy(&got, ev.recv.data, sizeof(got));
	CHECK_IS(got, sent);
	CHECK_IS(mp_release(ch, &ev), 0);
	if (i % 3 == 0) /* a receive is in flight when it closes */
		CHECK_IS(mp_recv(h), 0);
	CHECK_IS(mp_write(h, &sent, sizeof(sent)), 0);
	CHECK_IS(mp_close(h), 0);
	do
		ev = NEXT(ch);
	while (ev.cmd != MP_CLOSE);
	CHECK_IS(ev.result, 0);
	receive_all(client, &got, sizeof(got));
	CHECK_IS(got, sent);
	receive_end(client);
	SYS(close(client));
}

void test(void)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .max_lwsockets = MAX });
	int listener = listen_tcp(AF_INET);

	CHECK_IS(mp_accept(make_handle(ch, listener), MP_ACCEPT_ALL, true), 0);
	for (int i = 0; i < CONNECTIONS; i++)
		serve(ch, listener, i);
	CHECK_IS(stats_of(ch).lwsockets, 0);
	CHECK_IS(stats_of(ch).accepted, CONNECTIONS);
	mp_destroy(ch);
	SYS(close(listener));
}
