/* SPDX-License-Identifier: MIT */
/*
 * Where no lwsocket is to be had accepting ends with an error, and the
 * connections wait.
 */
#include <sys/socket.h>

#include "channel.h"

#define MOST 8

static int ch, listener;
static uint32_t h;

static uint32_t accept_another(void)
{
	uint32_t accepted;

	ASK(ch, ACCEPT, h, .len = 1);
	accepted = NEXT_OF(ch).result;
	ASK(ch, COOKIE, accepted, .addr = 2);
	return accepted;
}

static void check_lwsockets(void)
{
	uint32_t accepted[MOST];
	int clients[MOST + 1];

	for (int i = 0; i <= MOST; i++)
		clients[i] = connect_to(listener);
	wait_queued(listener, MOST + 1);
	ASK(ch, ACCEPT, h, .len = 0);
	for (int i = 0; i < MOST; i++) {
		struct megapipe_completion c = NEXT_OF(ch);

		CHECK_IS(c.flags, MEGAPIPE_C_MORE);
		accepted[i] = c.result;
	}
	CHECK_IS(COMPLETES(ch, 1, ACCEPT, -ENFILE).flags, 0);
	ASK(ch, ACCEPT, h, .len = 1);
	COMPLETES(ch, 1, ACCEPT, -ENFILE);
	wait_queued(listener, 1);
	drop(ch, accepted[3]);
	accepted[3] = accept_another();
	check_echo(ch, accepted[3], 2, clients[MOST]);
	for (int i = 0; i < MOST; i++)
		drop(ch, accepted[i]);
	for (int i = 0; i <= MOST; i++)
		SYS(close(clients[i]));
}

/* A channel may have none at all. */
static void check_none(void)
{
	int client;

	ch = make_channel_of(0);
	h = add(ch, listener, 1);
	client = connect_to(listener);
	ASK(ch, ACCEPT, h, .len = 1);
	COMPLETES(ch, 1, ACCEPT, -ENFILE);
	wait_queued(listener, 1);
	SYS(close(accept(listener, NULL, NULL)));
	SYS(close(client));
	SYS(close(ch));
}

void test(void)
{
	listener = listen_tcp(AF_INET);
	check_none();
	ch = make_channel_of(MOST);
	h = add(ch, listener, 1);
	check_lwsockets();
	SYS(close(ch));
}
