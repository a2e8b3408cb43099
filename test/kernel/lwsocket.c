/* SPDX-License-Identifier: MIT */
/* An lwsocket reads, writes, is shut down and closed; over IPv4 and IPv6. */
#include "channel.h"

static int ch;

static void check_family(int family)
{
	int listener = listen_tcp(family), client, fds;
	struct megapipe_completion c;
	char text[8];
	uint32_t h;

	h = accept_lwsocket(ch, listener, &client, 1);
	fds = open_fds();
	CHECK(!(h & MEGAPIPE_HANDLE_FILE));
	check_echo(ch, h, 1, client);
	ASK(ch, READ, h, BYTES(text, 8));
	ASK(ch, WRITE, h, BYTES("bye", 3));
	COMPLETES(ch, 1, WRITE, 3);
	ASK(ch, DISCONNECT, h, .arg = SHUT_WR);
	COMPLETES(ch, 1, DISCONNECT, 0);
	receive_all(client, text, 3);
	receive_end(client);
	send_all(client, "too", 3);
	COMPLETES(ch, 1, READ, 3);
	SYS(close(client));
	ASK(ch, READ, h, BYTES(text, 8));
	COMPLETES(ch, 1, READ, 0);
	ASK(ch, CLOSE, h, .arg = -1);
	c = COMPLETES(ch, 1, CLOSE, 0);
	CHECK_IS(c.flags, 0);
	REFUSES(ch, -EBADF, CLOSE, h, .arg = -1);
	CHECK_IS(open_fds(), fds - 1);
	CHECK_IS(stats_now(ch).lwsockets, 0);
	SYS(close(listener));
}

/* Before it has been given another, the handle is the cookie. */
static void check_first_cookie(void)
{
	int listener = listen_tcp(AF_INET);
	uint32_t l = add(ch, listener, 2), h;
	char text[8];

	SYS(close(connect_to(listener)));
	ASK(ch, ACCEPT, l, .len = 1);
	h = NEXT_OF(ch).result;
	ASK(ch, READ, h, BYTES(text, 8));
	COMPLETES(ch, h, READ, 0);
	ASK(ch, CLOSE, h, .arg = -1);
	COMPLETES(ch, h, CLOSE, 0);
	drop(ch, l);
	SYS(close(listener));
}

void test(void)
{
	ch = new_channel();
	check_family(AF_INET);
	check_family(AF_INET6);
	check_first_cookie();
	SYS(close(ch));
}
