/* SPDX-License-Identifier: MIT */
/*
 * mp_close() of a listener loses no connection that was accepted: those in
 * memory, kept by mp_accept() with count 0, or accepted meanwhile all come as
 * events before MP_CLOSE; the rest waits for another owner of the socket.
 */
#include "check.h"

#define CLIENTS 40

static int listener, clients[CLIENTS];

/* A duplicate is closed: the socket lives on. */
static struct mp_handle *accepting(struct mp_channel *ch, bool is_lwsocket)
{
	struct mp_handle *h = make_handle(ch, SYS(dup(listener)));

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, is_lwsocket), 0);
	CHECK_IS(mp_flush(ch), 0);
	return h;
}

static void connect_some(int from, int to)
{
	for (int i = from; i < to; i++) {
		clients[i] = connect_to(listener);
		send_all(clients[i], &i, sizeof(i));
	}
}

/* Serves it; gives which client it is. */
static int greet(struct mp_channel *ch, int id)
{
	struct mp_handle *h = make_handle(ch, id);
	struct mp_event ev;
	int which;

	CHECK_IS(mp_read(h, &which, sizeof(which)), 0);
	do {
		ev = NEXT(ch);
	} while (ev.cmd != MP_READ);
	CHECK_IS(ev.result, sizeof(which));
	CHECK(which >= 0 && which < CLIENTS);
	CHECK_IS(mp_write(h, "hello", 5), 0);
	EXPECT(ch, h, MP_WRITE, 5);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	return which;
}

/* The events up to MP_CLOSE, as numbers of what was accepted. */
static int take_last(struct mp_channel *ch, struct mp_handle *h, int *ids,
		     int count)
{
	for (;;) {
		struct mp_event ev = NEXT(ch);

		CHECK(ev.handle == h);
		if (ev.cmd == MP_CLOSE)
			return count;
		CHECK(ev.cmd == MP_ACCEPT && ev.result >= 0);
		CHECK(count < CLIENTS);
		ids[count++] = ev.result;
	}
}

static void check_served(struct mp_channel *ch, const int *ids, int count)
{
	bool was_served[CLIENTS] = { false };
	char text[5];

	for (int i = 0; i < count; i++) {
		int which = greet(ch, ids[i]);

		CHECK(!was_served[which]);
		was_served[which] = true;
		receive_all(clients[which], text, 5);
		receive_end(clients[which]);
	}
}

/* Accepted are none, some, or all, and the first of them dispatched. */
static void check_close(struct mp_channel *ch, bool is_lwsocket, bool stop)
{
	struct mp_handle *h = accepting(ch, is_lwsocket), *heir;
	int ids[CLIENTS], count = 0;
	struct mp_event ev;

	connect_some(0, CLIENTS / 2);
	ids[count++] = NEXT(ch).result;
	if (stop)
		CHECK_IS(mp_accept(h, 0, is_lwsocket), 0);
	connect_some(CLIENTS / 2, CLIENTS);
	/* what was fetched already still comes; what comes in now is kept */
	while (stop && mp_dispatch(ch, &ev, QUIET_US) == 1)
		ids[count++] = ev.result;
	CHECK_IS(mp_close(h), 0);
	count = take_last(ch, h, ids, count);
	heir = accepting(ch, is_lwsocket);
	while (count < CLIENTS)
		ids[count++] = NEXT(ch).result;
	check_served(ch, ids, count);
	CHECK_IS(mp_close(heir), 0);
	EXPECT(ch, heir, MP_CLOSE, 0);
	for (int i = 0; i < CLIENTS; i++)
		SYS(close(clients[i]));
}

/* Nobody is told any more: what was accepted is closed. */
static void check_unregister(struct mp_channel *ch, bool is_lwsocket)
{
	struct mp_handle *h = accepting(ch, is_lwsocket);
	int fds = open_fds() - 1, id;

	connect_some(0, CLIENTS);
	id = NEXT(ch).result;
	CHECK_IS(mp_close(h), 0);
	CHECK_IS(mp_unregister(h), 0);
	EXPECT_NONE(ch);
	greet(ch, id);
	CHECK_IS(stats_of(ch).lwsockets, 0);
	CHECK_IS(open_fds(), fds + CLIENTS);
	for (int i = 0; i < CLIENTS; i++)
		SYS(close(clients[i]));
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int fds;

	listener = listen_tcp(AF_INET);
	fds = open_fds();
	for (int i = 0; i < 4; i++)
		check_close(ch, i & 1, i & 2);
	CHECK_IS(stats_of(ch).accepted, 4 * CLIENTS);
	CHECK_IS(stats_of(ch).lwsockets, 0);
	CHECK_IS(stats_of(ch).handles, 0);
	CHECK_IS(open_fds(), fds);
	for (int i = 0; i < 2; i++) {
		check_unregister(ch, i);
		SYS(close(listener));
		listener = listen_tcp(AF_INET);
	}
	mp_destroy(ch);
	SYS(close(listener));
}
