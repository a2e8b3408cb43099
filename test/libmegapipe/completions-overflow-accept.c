/* SPDX-License-Identifier: MIT */
/*
 * A tiny queue of completions overflows with accepts and received data: no
 * connection, no byte is lost.
 */
#include "check.h"

#define CLIENTS 300

static void handle(struct mp_channel *ch, struct mp_event ev, int *received)
{
	if (ev.cmd == MP_ACCEPT) {
		CHECK(ev.result >= 0);
		CHECK_IS(mp_recv(make_handle(ch, ev.result)), 0);
	} else {
		CHECK_IS(ev.cmd, MP_RECV);
		CHECK(ev.result > 0);
		*received += ev.result;
		CHECK_IS(mp_release(ch, &ev), 0);
		CHECK_IS(mp_recv(ev.handle), 0);
	}
}

void test(void)
{
	struct mp_channel *ch = make_channel_with(
		(struct mp_options){ .completions = 4, .batch = 4 });
	int listener = listen_tcp(AF_INET), clients[CLIENTS], received = 0;
	struct mp_handle *h = make_handle(ch, listener);

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, true), 0);
	CHECK_IS(mp_flush(ch), 0);
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = connect_to(listener);
		send_all(clients[i], "hello", 5);
	}
	while (received < CLIENTS * 5)
		handle(ch, NEXT(ch), &received);
	CHECK_IS(stats_of(ch).accepted, CLIENTS);
	for (int i = 0; i < CLIENTS; i++)
		send_all(clients[i], "again!", 6);
	while (received < CLIENTS * 11)
		handle(ch, NEXT(ch), &received);
	CHECK_IS(received, CLIENTS * 11);
	EXPECT_NONE(ch);
	mp_destroy(ch);
}
