/* SPDX-License-Identifier: MIT */
/*
 * Connections on which a receive waits are closed at once: their peers see the
 * end, the lwsockets are free for others, and engine uring crosses once for all
 * of them.
 */
#include "check.h"

#define CLIENTS 8
#define ROUNDS 20

static struct mp_channel *ch;
static struct mp_handle *conns[CLIENTS];
static int listener, clients[CLIENTS];

static void open_all(struct mp_handle *h, bool is_lwsocket)
{
	CHECK_IS(mp_accept(h, CLIENTS, is_lwsocket), 0);
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_to(listener);
	for (int i = 0; i < CLIENTS; i++) {
		struct mp_event ev = NEXT(ch);

		CHECK(ev.cmd == MP_ACCEPT && ev.result >= 0);
		conns[i] = make_handle(ch, ev.result);
	}
}

/* Their readers wait, or have read something and wait for more in silence. */
static void receive_on_all(bool is_asked)
{
	for (int i = 0; i < CLIENTS; i++)
		CHECK_IS(mp_recv(conns[i]), 0);
	EXPECT_NONE(ch);
	if (is_asked)
		return;
	for (int i = 0; i < CLIENTS; i++)
		send_all(clients[i], "hello", 5);
	for (int i = 0; i < CLIENTS; i++) {
		struct mp_event ev = NEXT(ch);

		CHECK_IS(ev.result, 5);
		CHECK_IS(mp_release(ch, &ev), 0);
	}
}

static void take_ends(bool is_asked)
{
	int canceled = 0;

	for (int closed = 0; closed < CLIENTS;) {
		struct mp_event ev = NEXT(ch);

		if (ev.cmd == MP_RECV) {
			CHECK_IS(ev.result, -ECANCELED);
			canceled++;
		} else {
			CHECK(ev.cmd == MP_CLOSE && ev.result == 0);
			closed++;
			CHECK(!is_asked || canceled >= closed);
		}
	}
	CHECK_IS(canceled, is_asked ? CLIENTS : 0);
}

static void close_all(bool is_asked)
{
	uint64_t crossings = stats_of(ch).crossings;

	for (int i = 0; i < CLIENTS; i++)
		CHECK_IS(mp_close(conns[i]), 0);
	take_ends(is_asked);
	if (strcmp(engine, "uring") == 0)
		CHECK(stats_of(ch).crossings <= crossings + 2);
	for (int i = 0; i < CLIENTS; i++) {
		receive_end(clients[i]);
		SYS(close(clients[i]));
	}
}

/* Closing is under way when the handle leaves altogether. */
static void leave_all(void)
{
	for (int i = 0; i < CLIENTS; i++)
		CHECK_IS(mp_close(conns[i]), 0);
	for (int i = 0; i < CLIENTS; i++)
		CHECK_IS(mp_unregister(conns[i]), 0);
	for (int i = 0; i < CLIENTS; i++) {
		receive_end(clients[i]);
		SYS(close(clients[i]));
	}
	EXPECT_NONE(ch);
}

void test(void)
{
	struct mp_handle *h;
	int fds;

	ch = make_channel_with((struct mp_options){ .max_lwsockets = CLIENTS });
	listener = listen_tcp(AF_INET);
	h = make_handle(ch, listener);
	fds = open_fds();
	for (int i = 0; i < ROUNDS; i++) {
		open_all(h, i & 1);
		receive_on_all(i & 2);
		if (i % 5 == 4)
			leave_all();
		else
			close_all(i & 2);
		CHECK_IS(stats_of(ch).lwsockets, 0);
		CHECK_IS(stats_of(ch).handles, 1);
		CHECK_IS(open_fds(), fds);
	}
	mp_destroy(ch);
	SYS(close(listener));
}
