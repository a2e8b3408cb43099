/* SPDX-License-Identifier: MIT */
/*
 * A connection that is reset has one error to tell: a read, a write and a poll
 * that wait all end by it.
 */
#include "channel.h"

static char large[4 << 20];

static void check_ends(int ch, uint32_t h, int client)
{
	bool ended[MEGAPIPE_OP_CONNECT + 1] = { false };
	char text[8];

	ASK(ch, READ, h, BYTES(text, 8));
	ASK(ch, WRITE, h, BYTES(large, sizeof(large)));
	ASK(ch, POLL, h, .arg = POLLRDHUP);
	STAYS_QUIET(ch);
	reset(client);
	for (int i = 0; i < 3; i++) {
		struct megapipe_completion c = NEXT_OF(ch);

		CHECK_IS(c.cookie, 1);
		CHECK(!ended[c.op]);
		ended[c.op] = true;
		if (c.op == MEGAPIPE_OP_POLL)
			CHECK(c.result & POLLHUP);
		else if (c.op == MEGAPIPE_OP_READ)
			CHECK_IS(c.result, -ECONNRESET);
		else
			CHECK(c.result == -ECONNRESET || c.result == -EPIPE);
	}
	STAYS_QUIET(ch);
	/* and so does what comes after */
	CHECK(OUTCOME(ch, READ, h, BYTES(text, 8)) <= 0);
	CHECK(OUTCOME(ch, WRITE, h, BYTES(large, 8)) < 0);
	drop(ch, h);
}

void test(void)
{
	int ch = new_channel(), listener = listen_tcp(AF_INET), client, pair[2];

	small_buffers((int[2]){ listener, listener });
	for (int i = 0; i < 10; i++) {
		uint32_t h = accept_lwsocket(ch, listener, &client, 1);

		check_ends(ch, h, client);
	}
	tcp_pair(pair);
	small_buffers(pair);
	check_ends(ch, add(ch, pair[0], 1), pair[1]);
	SYS(close(ch));
}
