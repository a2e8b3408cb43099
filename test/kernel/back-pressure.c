/* SPDX-License-Identifier: MIT */
/*
 * A process that takes one completion a call, or none for long, loses nothing:
 * what is ready waits, and comes once.
 */
#include "channel.h"

#define COUNT 300

static int ch, pairs[COUNT][2];
static char text[COUNT][4];
static uint32_t handles[COUNT];

static void ask_all(void)
{
	for (int i = 0; i < COUNT; i++)
		ASK(ch, READ, handles[i], BYTES(text[i], 4));
}

/* Commands whose completions have no room are carried out nevertheless. */
static void check_immediate(void)
{
	bool seen[COUNT] = { false };

	for (int i = 0; i < COUNT; i++)
		ASK(ch, WRITE, handles[i], BYTES("out", 3));
	for (int i = 0; i < COUNT; i++) {
		struct megapipe_completion c = NEXT_OF(ch);

		CHECK_IS(c.op, MEGAPIPE_OP_WRITE);
		CHECK_IS(c.result, 3);
		CHECK(c.cookie < COUNT && !seen[c.cookie]);
		seen[c.cookie] = true;
	}
	STAYS_QUIET(ch);
	for (int i = 0; i < COUNT; i++)
		receive_all(pairs[i][1], text[i], 3);
}

static void check_waiting(void)
{
	bool seen[COUNT] = { false };

	ask_all();
	for (int i = 0; i < COUNT; i++)
		send_all(pairs[i][1], "in", 2);
	for (int i = 0; i < COUNT; i++) {
		struct megapipe_completion c = NEXT_OF(ch);

		CHECK_IS(c.op, MEGAPIPE_OP_READ);
		CHECK_IS(c.result, 2);
		CHECK(c.cookie < COUNT && !seen[c.cookie]);
		seen[c.cookie] = true;
		CHECK_BYTES(text[c.cookie], "in", 2);
	}
	STAYS_QUIET(ch);
}

/* Those that are always ready leave the others their turn. */
static void check_fair(void)
{
	int turns[COUNT] = { 0 };

	for (int i = 0; i < COUNT; i++)
		send_all(pairs[i][1], "many bytes to read, one by one", 30);
	for (int i = 0; i < COUNT; i++)
		ASK(ch, READ, handles[i], BYTES(text[i], 1));
	for (int n = 0; n < 10 * COUNT; n++) {
		struct megapipe_completion c = NEXT_OF(ch);

		CHECK_IS(c.result, 1);
		turns[c.cookie]++;
		ASK(ch, READ, handles[c.cookie], BYTES(text[c.cookie], 1));
	}
	for (int i = 0; i < COUNT; i++)
		CHECK(turns[i] > 0);
}

/* One connection after the other: the rest waits in the queue. */
static void check_accepting(void)
{
	int listener = listen_tcp(AF_INET), clients[100];
	uint32_t h = add(ch, listener, COUNT);

	ASK(ch, ACCEPT, h);
	for (int i = 0; i < 100; i++)
		clients[i] = connect_to(listener);
	for (int i = 0; i < 100; i++) {
		struct megapipe_completion c = NEXT_OF(ch);

		CHECK_IS(c.cookie, COUNT);
		CHECK_IS(c.flags, MEGAPIPE_C_MORE);
		drop(ch, c.result);
	}
	for (int i = 0; i < 100; i++)
		receive_end(clients[i]);
	drop(ch, h);
}

void test(void)
{
	ch = new_channel();
	CHECK(limit_fds(2 * COUNT + 300));
	for (int i = 0; i < COUNT; i++) {
		unix_pair(pairs[i], SOCK_STREAM);
		handles[i] = add(ch, pairs[i][0], i);
	}
	check_accepting();
	check_immediate();
	check_waiting();
	check_fair();
	SYS(close(ch));
}
