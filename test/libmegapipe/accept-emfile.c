/* SPDX-License-Identifier: MIT */
/*
 * With no descriptor left, -EMFILE is told once. Accepting goes on by itself
 * when descriptors are closed, and nothing is lost.
 */
#include "check.h"

#define CLIENTS 6
#define ROOM 2

static void connect_all(int listener, int clients[CLIENTS])
{
	struct address a = address_of(listener);

	for (int i = 0; i < CLIENTS; i++)
		SYS(connect(clients[i], (struct sockaddr *)&a.storage, a.len));
}

/* The next connection; -EMFILE may be told on the way. */
static int accepted(struct mp_channel *ch, struct mp_handle *h, int *told)
{
	for (;;) {
		struct mp_event ev = NEXT(ch);

		CHECK(ev.handle == h && ev.cmd == MP_ACCEPT);
		if (ev.result >= 0)
			return ev.result;
		CHECK_IS(ev.result, -EMFILE);
		++*told;
	}
}

static void fill_room(struct mp_channel *ch, struct mp_handle *h, int *told,
		      int fds[ROOM])
{
	for (int i = 0; i < ROOM; i++)
		fds[i] = accepted(ch, h, told);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET), clients[CLIENTS], fds[ROOM], lowest,
	    told = 0;
	struct mp_handle *h = make_handle(ch, listener);

	for (int i = 0; i < CLIENTS; i++)
		clients[i] = SYS(socket(AF_INET, SOCK_STREAM, 0));
	lowest = SYS(dup(0));
	SYS(close(lowest));
	CHECK(limit_fds(lowest + ROOM));
	connect_all(listener, clients);
	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	fill_room(ch, h, &told, fds);
	if (!told) {
		CHECK_IS(NEXT(ch).result, -EMFILE);
		told = 1;
	}
	CHECK(stats_of(ch).accept_failures > 0);
	EXPECT_NONE(ch);
	for (int served = ROOM; served < CLIENTS; served += ROOM) {
		for (int i = 0; i < ROOM; i++)
			SYS(close(fds[i]));
		fill_room(ch, h, &told, fds);
	}
	for (int i = 0; i < ROOM; i++)
		SYS(close(fds[i]));
	for (int i = 0; i < CLIENTS; i++)
		receive_end(clients[i]);
	mp_destroy(ch);
}
