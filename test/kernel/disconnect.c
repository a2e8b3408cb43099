/* SPDX-License-Identifier: MIT */
/* DISCONNECT shuts down either direction, and ends what waits for it. */
#include "channel.h"

static int ch;

static void check_handle(uint32_t h, int peer)
{
	char text[8];

	ASK(ch, READ, h, BYTES(text, 8));
	ASK(ch, DISCONNECT, h, .arg = SHUT_WR);
	COMPLETES(ch, 1, DISCONNECT, 0);
	receive_end(peer);
	STAYS_QUIET(ch);
	CHECK_IS(OUTCOME(ch, WRITE, h, BYTES("x", 1)), -EPIPE);
	send_all(peer, "more", 4);
	COMPLETES(ch, 1, READ, 4);
	ASK(ch, READ, h, BYTES(text, 8));
	ASK(ch, DISCONNECT, h, .arg = SHUT_RD);
	for (int i = 0; i < 2; i++)
		CHECK_IS(NEXT_OF(ch).result, 0);
	drop(ch, h);
}

static void check_both(uint32_t h, int peer)
{
	char text[8];

	ASK(ch, READ, h, BYTES(text, 8));
	ASK(ch, POLL, h, .arg = POLLRDHUP);
	ASK(ch, DISCONNECT, h, .arg = SHUT_RDWR);
	for (int i = 0; i < 3; i++) {
		struct megapipe_completion c = NEXT_OF(ch);

		if (c.op == MEGAPIPE_OP_POLL)
			CHECK(c.result & POLLRDHUP);
		else
			CHECK_IS(c.result, 0);
	}
	receive_end(peer);
	drop(ch, h);
}

void test(void)
{
	int listener = listen_tcp(AF_INET), client, pair[2];
	uint32_t h;

	ch = new_channel();
	h = accept_lwsocket(ch, listener, &client, 1);
	check_handle(h, client);
	h = accept_lwsocket(ch, listener, &client, 1);
	check_both(h, client);
	tcp_pair(pair);
	check_handle(add(ch, pair[0], 1), pair[1]);
	unix_pair(pair, SOCK_STREAM);
	check_both(add(ch, pair[0], 1), pair[1]);

	/* nobody to disconnect from */
	h = add(ch, SYS(socket(AF_INET, SOCK_STREAM, 0)), 1);
	CHECK_IS(OUTCOME(ch, DISCONNECT, h, .arg = SHUT_WR), -ENOTCONN);
	SYS(close(ch));
}
