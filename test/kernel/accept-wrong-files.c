/* SPDX-License-Identifier: MIT */
/* Accepting from what doesn't listen is an error, not a wait. */
#include <sys/eventfd.h>

#include "channel.h"

static void check_error(int ch, int fd)
{
	uint32_t h = add(ch, fd, 1);

	CHECK(OUTCOME(ch, ACCEPT, h, .len = 1) < 0);
	drop(ch, h);
}

void test(void)
{
	int ch = new_channel(), pair[2], client;
	int listener = listen_tcp(AF_INET);
	uint32_t h;

	check_error(ch, SYS(socket(AF_INET, SOCK_STREAM, 0)));
	check_error(ch, SYS(socket(AF_INET, SOCK_DGRAM, 0)));
	check_error(ch, SYS(socket(AF_UNIX, SOCK_STREAM, 0)));
	check_error(ch, SYS(eventfd(0, 0)));
	SYS(pipe(pair));
	check_error(ch, pair[0]);
	tcp_pair(pair);
	check_error(ch, pair[0]);
	unix_pair(pair, SOCK_SEQPACKET);
	check_error(ch, pair[0]);
	h = accept_lwsocket(ch, listener, &client, 1);
	CHECK(OUTCOME(ch, ACCEPT, h, .len = 1) < 0);
	check_echo(ch, h, 1, client);
	SYS(close(ch));
}
