/* SPDX-License-Identifier: MIT */
/* An lwsocket that is closed with bytes unread resets, as any socket does. */
#include "channel.h"

void test(void)
{
	int ch = new_channel(), listener = listen_tcp(AF_INET), client;
	uint32_t h = accept_lwsocket(ch, listener, &client, 1);
	char bytes[100] = { 0 };

	ASK(ch, READ, h, BYTES(bytes, 10));
	send_all(client, bytes, sizeof(bytes));
	COMPLETES(ch, 1, READ, 10);
	ASK(ch, CLOSE, h, .arg = -1);
	COMPLETES(ch, 1, CLOSE, 0);
	CHECK(readable(client, -1));
	CHECK_IS(TRY_SYS(read(client, bytes, 1)), -ECONNRESET);

	/* and of one that was never looked at */
	h = accept_lwsocket(ch, listener, &client, 1);
	send_all(client, bytes, sizeof(bytes));
	SYS(close(ch));
	CHECK(readable(client, -1));
	CHECK_IS(TRY_SYS(read(client, bytes, 1)), -ECONNRESET);
}
