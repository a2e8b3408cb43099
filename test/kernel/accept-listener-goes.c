/* SPDX-License-Identifier: MIT */
/*
 * A listener that is shut down ends its accepting with an error. One whose
 * descriptor is closed is kept by its handle.
 */
#include "channel.h"

void test(void)
{
	int ch = new_channel(), listener = listen_tcp(AF_INET), client;
	uint32_t h = add(ch, listener, 1), accepted;
	struct address a = address_of(listener);

	ASK(ch, ACCEPT, h);
	STAYS_QUIET(ch);
	SYS(close(listener));
	client = SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	SYS(connect(client, (struct sockaddr *)&a.storage, a.len));
	accepted = NEXT_OF(ch).result;
	drop(ch, h);

	ASK(ch, COOKIE, accepted, .addr = 3);
	check_echo(ch, accepted, 3, client);
	listener = listen_tcp(AF_INET);
	h = add(ch, listener, 1);
	ASK(ch, ACCEPT, h);
	STAYS_QUIET(ch);
	SYS(shutdown(listener, SHUT_RDWR));
	CHECK(NEXT_OF(ch).result < 0);
	SYS(close(ch));
}
