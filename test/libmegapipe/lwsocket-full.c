/* SPDX-License-Identifier: MIT */
/*
 * With max_lwsockets open accepting pauses: nobody is dropped, and each close
 * lets one more in.
 */
#include "check.h"

#define MAX 4
#define CLIENTS 25

static int clients[CLIENTS];
static struct mp_handle *conns[CLIENTS];

static void accept_one(struct mp_channel *ch, int i)
{
	struct mp_event ev = NEXT(ch);

	CHECK(ev.cmd == MP_ACCEPT);
	CHECK(ev.result >= MP_LWSOCKET_BASE);
	conns[i] = make_handle(ch, ev.result);
}

static void check_paused(struct mp_channel *ch, int from)
{
	uint64_t crossings = stats_of(ch).crossings;

	CHECK_IS(stats_of(ch).lwsockets, MAX);
	EXPECT_NONE(ch);
	EXPECT_NONE(ch);
	CHECK(stats_of(ch).crossings - crossings < 20);
	CHECK_IS(stats_of(ch).accepts_paused, 1);
	CHECK(stats_of(ch).lwsocket_waits > 0);
	for (int i = from; i < CLIENTS; i++)
		CHECK(!readable(clients[i], 0));
}

static void let_go(struct mp_channel *ch, int i)
{
	CHECK_IS(mp_write(conns[i], "bye", 3), 0);
	EXPECT(ch, conns[i], MP_WRITE, 3);
	if (i % 2) {
		CHECK_IS(mp_unregister(conns[i]), 0);
		return;
	}
	CHECK_IS(mp_close(conns[i]), 0);
	EXPECT(ch, conns[i], MP_CLOSE, 0);
}

void test(void)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .max_lwsockets = MAX });
	int listener = listen_tcp(AF_INET);
	struct mp_handle *h = make_handle(ch, listener);
	char text[3];

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, true), 0);
	CHECK_IS(mp_flush(ch), 0);
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_to(listener);
	for (int i = 0; i < MAX; i++)
		accept_one(ch, i);
	check_paused(ch, 0);
	for (int i = 0; i < CLIENTS; i++) {
		let_go(ch, i);
		if (i + MAX < CLIENTS)
			accept_one(ch, i + MAX);
	}
	for (int i = 0; i < CLIENTS; i++) {
		receive_all(clients[i], text, 3);
		receive_end(clients[i]);
	}
	CHECK_IS(stats_of(ch).lwsockets, 0);
	mp_destroy(ch);
}
