/* SPDX-License-Identifier: MIT */
/*
 * A child that stays keeps no lwsocket open, in whatever state it was at the
 * fork: its peer gets the end when the parent closes it. Likewise a file that
 * was being closed then.
 */
#include "check.h"

enum { CLOSED, UNREGISTERED, DESTROYED, RECEIVING, CLOSING, UNKNOWN, CLIENTS };

static struct mp_event accepted(struct mp_channel *ch, int listener,
				int *client)
{
	struct mp_event ev;

	*client = connect_to(listener);
	ev = NEXT(ch);
	CHECK_IS(ev.cmd, MP_ACCEPT);
	return ev;
}

static void receive_end_only(int client)
{
	receive_end(client);
	SYS(close(client));
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listen_fd = listen_tcp(AF_INET), clients[CLIENTS], pair[2];
	struct mp_handle *listener = make_handle(ch, listen_fd), *file;
	struct mp_handle *conns[CLIENTS];
	pid_t child;

	CHECK_IS(mp_accept(listener, MP_ACCEPT_ALL, true), 0);
	for (int i = 0; i < CLIENTS; i++) {
		struct mp_event ev = accepted(ch, listen_fd, &clients[i]);

		if (i != UNKNOWN)
			conns[i] = make_handle(ch, ev.result);
	}
	tcp_pair(pair);
	file = make_handle(ch, pair[0]);
	CHECK_IS(mp_recv(conns[RECEIVING]), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_close(conns[CLOSING]), 0);
	CHECK_IS(mp_close(file), 0);
	child = staying_child();

	CHECK_IS(mp_close(conns[CLOSED]), 0);
	CHECK_IS(mp_unregister(conns[UNREGISTERED]), 0);
	EXPECT(ch, conns[CLOSING], MP_CLOSE, 0);
	EXPECT(ch, file, MP_CLOSE, 0);
	EXPECT(ch, conns[CLOSED], MP_CLOSE, 0);
	receive_end_only(clients[CLOSED]);
	receive_end_only(clients[UNREGISTERED]);
	receive_end_only(clients[CLOSING]);
	receive_end_only(pair[1]);
	CHECK_IS(mp_close(conns[RECEIVING]), 0);
	EXPECT(ch, conns[RECEIVING], MP_RECV, -ECANCELED);
	EXPECT(ch, conns[RECEIVING], MP_CLOSE, 0);
	receive_end_only(clients[RECEIVING]);
	mp_destroy(ch);
	receive_end_only(clients[DESTROYED]);
	receive_end_only(clients[UNKNOWN]);
	end_child(child);
	SYS(close(listen_fd));
}
