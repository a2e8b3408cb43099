/* SPDX-License-Identifier: MIT */
/*
 * mp_accept() accepts exactly count more connections, and leaves the others to
 * the socket.
 */
#include <fcntl.h>

#include "check.h"

#define CLIENTS 10

static void accept_events(struct mp_channel *ch, struct mp_handle *h, int count)
{
	for (int i = 0; i < count; i++) {
		struct mp_event ev = NEXT(ch);

		CHECK(ev.handle == h && ev.cmd == MP_ACCEPT && ev.result >= 0);
		SYS(close(ev.result));
	}
	EXPECT_NONE(ch);
}

static int waiting_at(int listener)
{
	int fd, count = 0;

	SYS(fcntl(listener, F_SETFL, O_NONBLOCK));
	for (; (fd = accept(listener, NULL, NULL)) >= 0; count++)
		SYS(close(fd));
	CHECK_IS(errno, EAGAIN);
	return count;
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET);
	struct mp_handle *h = make_handle(ch, listener);
	int clients[CLIENTS];

	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_to(listener);
	wait_queued(listener, CLIENTS);
	EXPECT_NONE(ch);
	CHECK_IS(mp_accept(h, 2, false), 0);
	accept_events(ch, h, 2);
	CHECK_IS(mp_accept(h, 1, false), 0);
	CHECK_IS(mp_accept(h, 3, false), 0);
	accept_events(ch, h, 4);
	CHECK_IS(stats_of(ch).accepted, 6);
	CHECK_IS(waiting_at(listener), CLIENTS - 6);
	for (int i = 0; i < CLIENTS; i++)
		SYS(close(clients[i]));
	mp_destroy(ch);
	SYS(close(listener));
}
