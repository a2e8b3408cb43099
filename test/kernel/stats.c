/* SPDX-License-Identifier: MIT */
/* What a channel says that it has done is what it was asked for. */
#include "channel.h"

void test(void)
{
	int ch = new_channel(), listener = listen_tcp(AF_INET), client, pair[2];
	struct megapipe_stats before, after;
	char text[8];
	uint32_t h, lwsocket;

	before = stats_now(ch);
	CHECK_IS(before.runs + before.commands + before.completions +
			 before.files + before.lwsockets,
		 0);
	unix_pair(pair, SOCK_STREAM);
	h = add(ch, pair[0], 1);
	lwsocket = accept_lwsocket(ch, listener, &client, 2);
	before = stats_now(ch);
	CHECK_IS(before.files, 1);
	CHECK_IS(before.lwsockets, 1);

	ASK(ch, WRITE, h, BYTES("x", 1));
	COMPLETES(ch, 1, WRITE, 1);
	ASK(ch, READ, lwsocket, BYTES(text, 8));
	STAYS_QUIET(ch);
	send_all(client, "x", 1);
	COMPLETES(ch, 2, READ, 1);
	drop(ch, lwsocket);
	drop(ch, h);
	after = stats_now(ch);
	CHECK_IS(after.runs - before.runs, 7);
	CHECK_IS(after.commands - before.commands, 4);
	CHECK_IS(after.completions - before.completions, 2);
	CHECK_IS(after.immediate - before.immediate, 1);
	CHECK_IS(after.wakeups - before.wakeups, 1);
	CHECK(after.sleeps > before.sleeps);
	CHECK_IS(after.files, 0);
	CHECK_IS(after.lwsockets, 0);
	for (int i = 0; i < 4; i++)
		CHECK_IS(after.reserved[i], 0);
	SYS(close(ch));
}
