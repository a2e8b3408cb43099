/* SPDX-License-Identifier: MIT */
/*
 * Connections of an MPTCP listener are more than a TCP control block, or less
 * than they claim: they work as lwsockets all the same, or are refused.
 */
#include <netinet/in.h>

#include "channel.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static int new_mptcp(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);

	if (fd < 0)
		skip("no MPTCP here: %s", strerror(errno));
	return fd;
}

static int listen_mptcp(void)
{
	const struct sockaddr_in name = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = new_mptcp();

	SYS(bind(fd, (const struct sockaddr *)&name, sizeof(name)));
	SYS(listen(fd, 10));
	return fd;
}

static void check_client(int ch, int listener, int client)
{
	uint32_t h = add(ch, listener, 1), accepted;
	struct address a = address_of(listener);
	int64_t result;
	char text[8];

	SYS(connect(client, (struct sockaddr *)&a.storage, a.len));
	result = OUTCOME(ch, ACCEPT, h, .len = 1);
	drop(ch, h);
	if (result < 0)
		return;
	accepted = result;
	ASK(ch, COOKIE, accepted, .addr = 1);
	check_echo(ch, accepted, 1, client);
	ASK(ch, DISCONNECT, accepted, .arg = SHUT_WR);
	COMPLETES(ch, 1, DISCONNECT, 0);
	receive_end(client);
	SYS(close(client));
	ASK(ch, READ, accepted, BYTES(text, 8));
	COMPLETES(ch, 1, READ, 0);
	drop(ch, accepted);
}

/* The peer goes first, and the other way. */
static void check_reset(int ch, int listener)
{
	int client = new_mptcp();
	struct address a = address_of(listener);
	uint32_t h = add(ch, listener, 1);
	char text[8];
	int64_t result;

	SYS(connect(client, (struct sockaddr *)&a.storage, a.len));
	result = OUTCOME(ch, ACCEPT, h, .len = 1);
	if (result < 0)
		return;
	ASK(ch, READ, result, BYTES(text, 8));
	reset(client);
	CHECK(NEXT_OF(ch).result <= 0);
}

void test(void)
{
	int ch = new_channel(), listener = listen_mptcp();

	check_client(ch, listener, new_mptcp());
	check_client(ch, listener,
		     SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
	check_reset(ch, listener);
	SYS(close(ch));
}
