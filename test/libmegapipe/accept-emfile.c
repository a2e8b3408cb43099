/* SPDX-License-Identifier: MIT */
/*
 * With no descriptor left accepting ends with -EMFILE; asked again, it goes
 * on, and nothing is lost.
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

/* How many accepts come before -EMFILE, each kept open in fds. */
static int accept_until_emfile(struct mp_channel *ch, struct mp_handle *h,
			       int fds[CLIENTS])
{
	for (int i = 0; i < CLIENTS; i++) {
		struct mp_event ev = NEXT(ch);

		CHECK(ev.handle == h && ev.cmd == MP_ACCEPT);
		if (ev.result == -EMFILE)
			return i;
		CHECK(ev.result >= 0);
		fds[i] = ev.result;
	}
	fail(__FILE__, __LINE__, "no -EMFILE");
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET), clients[CLIENTS], fds[CLIENTS],
	    lowest;
	struct mp_handle *h = make_handle(ch, listener);

	for (int i = 0; i < CLIENTS; i++)
		clients[i] = SYS(socket(AF_INET, SOCK_STREAM, 0));
	lowest = SYS(dup(0));
	SYS(close(lowest));
	CHECK(limit_fds(lowest + ROOM));
	connect_all(listener, clients);
	for (int served = 0; served < CLIENTS - ROOM; served += ROOM) {
		CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
		CHECK_IS(accept_until_emfile(ch, h, fds), ROOM);
		EXPECT_NONE(ch);
		for (int i = 0; i < ROOM; i++)
			SYS(close(fds[i]));
	}
	CHECK_IS(mp_accept(h, ROOM, false), 0);
	for (int i = 0; i < ROOM; i++)
		SYS(close(NEXT(ch).result));
	for (int i = 0; i < CLIENTS; i++)
		receive_end(clients[i]);
	mp_destroy(ch);
}
