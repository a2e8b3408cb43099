/* SPDX-License-Identifier: MIT */
/* A TCP connection over IPv6 is accepted, carries bytes both ways and ends. */
#include <netinet/in.h>

#include "check.h"

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET6);
	struct mp_handle *h = make_handle(ch, listener);
	int client;

	CHECK_IS(mp_accept(h, 1, false), 0);
	client = connect_to(listener);
	check_stream(ch, NEXT(ch).result, client);
	mp_destroy(ch);
	SYS(close(listener));
}
