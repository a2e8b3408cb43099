/* SPDX-License-Identifier: MIT */
/*
 * With accept_peer each MP_ACCEPT event tells where the connection comes from,
 * and mp_getpeername() says the same; without, it doesn't.
 */
#include "check.h"

#define CLIENTS 40

static int listener, clients[CLIENTS];

static void connect_all(void)
{
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_to(listener);
}

/* Which client has this address? */
static int client_at(const struct sockaddr *addr, socklen_t len)
{
	for (int i = 0; i < CLIENTS; i++) {
		struct address a = address_of(clients[i]);

		if (a.len == len && memcmp(&a.storage, addr, len) == 0)
			return i;
	}
	return -1;
}

static int check_peer(struct mp_channel *ch, struct mp_event ev)
{
	struct address a = { .len = sizeof(a.storage) };
	struct mp_handle *conn;
	int which;

	CHECK(ev.cmd == MP_ACCEPT && ev.result >= 0);
	CHECK(ev.accept.peer != NULL);
	which = client_at(ev.accept.peer, ev.accept.peer_len);
	CHECK(which >= 0);
	conn = make_handle(ch, ev.result);
	CHECK_IS(mp_getpeername(conn, (struct sockaddr *)&a.storage, &a.len),
		 0);
	CHECK_IS(client_at((struct sockaddr *)&a.storage, a.len), which);
	CHECK_IS(mp_unregister(conn), 0);
	if (ev.result < MP_LWSOCKET_BASE)
		SYS(close(ev.result));
	return which;
}

/* All of them, those that are told before the close too, each once. */
static void check_all(struct mp_channel *ch, uint32_t count, bool is_lwsocket,
		      bool close_early)
{
	struct mp_handle *h = make_handle(ch, SYS(dup(listener)));
	bool was_seen[CLIENTS] = { false };
	int seen = 0;

	CHECK_IS(mp_accept(h, count, is_lwsocket), 0);
	CHECK_IS(mp_flush(ch), 0);
	connect_all();
	while (seen < CLIENTS && !(close_early && seen == CLIENTS / 2)) {
		int which = check_peer(ch, NEXT(ch));

		CHECK(!was_seen[which]);
		was_seen[which] = true;
		seen++;
	}
	CHECK_IS(mp_close(h), 0);
	for (;;) {
		struct mp_event ev = NEXT(ch);

		if (ev.cmd == MP_CLOSE)
			break;
		check_peer(ch, ev);
	}
	for (int i = 0; i < CLIENTS; i++)
		SYS(close(clients[i]));
}

static void check_leaving(struct mp_channel *ch, bool is_lwsocket)
{
	struct mp_handle *h = make_handle(ch, SYS(dup(listener)));
	int fds = open_fds();

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, is_lwsocket), 0);
	CHECK_IS(mp_flush(ch), 0);
	connect_all();
	check_peer(ch, NEXT(ch));
	CHECK_IS(mp_unregister(h), 0);
	EXPECT_NONE(ch);
	CHECK_IS(stats_of(ch).lwsockets, 0);
	CHECK_IS(open_fds(), fds + CLIENTS);
	for (int i = 0; i < CLIENTS; i++)
		SYS(close(clients[i]));
}

static void check_family(int family, unsigned int batch)
{
	struct mp_channel *ch = make_channel_with(
		(struct mp_options){ .accept_peer = true, .batch = batch });

	for (int is_lwsocket = 0; is_lwsocket < 2; is_lwsocket++) {
		listener = listen_tcp(family);
		check_all(ch, MP_ACCEPT_ALL, is_lwsocket, false);
		check_all(ch, CLIENTS, is_lwsocket, false);
		check_all(ch, MP_ACCEPT_ALL, is_lwsocket, true);
		SYS(close(listener));
		listener = listen_tcp(family);
		check_leaving(ch, is_lwsocket);
		SYS(close(listener));
	}
	mp_destroy(ch);
}

static void check_without(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h;

	listener = listen_tcp(AF_INET);
	h = make_handle(ch, listener);
	connect_all();
	for (int is_lwsocket = 0; is_lwsocket < 2; is_lwsocket++) {
		CHECK_IS(mp_accept(h, 1, is_lwsocket), 0);
		CHECK(NEXT(ch).accept.peer == NULL);
	}
	mp_destroy(ch);
	SYS(close(listener));
}

void test(void)
{
	check_family(AF_INET, 0);
	check_family(AF_INET, 1);
	check_without();
	check_family(AF_INET6, 0);
}
