/* SPDX-License-Identifier: MIT */
/*
 * Where the engine has direct descriptors, an lwsocket is never seen among the
 * process's fds.
 */
#include <netinet/in.h>

#include "check.h"

#define CLIENTS 20
#define HIGHEST 1000

/* fds whose peer is one of the clients: the server's ends. */
static int server_ends(const int clients[CLIENTS])
{
	int count = 0;

	for (int fd = 0; fd < HIGHEST; fd++) {
		struct sockaddr_in peer;
		socklen_t len = sizeof(peer);

		if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
			continue;
		for (int i = 0; i < CLIENTS; i++) {
			struct address a = address_of(clients[i]);

			count += memcmp(&peer, &a.storage, sizeof(peer)) == 0;
		}
	}
	return count;
}

static void check_hidden(const int clients[CLIENTS], int fds)
{
	CHECK_IS(server_ends(clients), 0);
	CHECK_IS(open_fds(), fds);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET), clients[CLIENTS], fds;
	struct mp_handle *h = make_handle(ch, listener), *conns[CLIENTS];

	if (!engine_has("direct-descriptors"))
		skip("engine %s has no direct descriptors here", engine);
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_to(listener);
	fds = open_fds();
	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, true), 0);
	for (int i = 0; i < CLIENTS; i++) {
		conns[i] = make_handle(ch, NEXT(ch).result);
		check_hidden(clients, fds);
	}
	for (int i = 0; i < CLIENTS; i++) {
		int value = 1;

		CHECK_IS(mp_recv(conns[i]), 0);
		CHECK_IS(mp_write(conns[i], "hello", 5), 0);
		EXPECT(ch, conns[i], MP_WRITE, 5);
		CHECK_IS(mp_setsockopt(conns[i], SOL_SOCKET, SO_KEEPALIVE,
				       &value, sizeof(value)),
			 0);
		check_hidden(clients, fds);
	}
	mp_destroy(ch);
}
