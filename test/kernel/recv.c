/* SPDX-License-Identifier: MIT */
/* RECV takes a buffer when there is something to read, and not before. */
#include "channel.h"

#define COUNT 4
#define SIZE 100

static int ch, pair[2];
static uint32_t h;
static struct pool pool;

static void check_pieces(void)
{
	char bytes[250];
	uint32_t taken[3];

	unix_pair(pair, SOCK_STREAM);
	h = add(ch, pair[0], 1);
	ASK(ch, RECV, h);
	STAYS_QUIET(ch);
	CHECK_IS(pool.stack->count, COUNT);
	fill(bytes, sizeof(bytes), 0);
	send_all(pair[1], bytes, sizeof(bytes));
	for (int i = 0; i < 3; i++) {
		int size = i < 2 ? SIZE : 50;

		taken[i] = COMPLETES(ch, 1, RECV, size).info;
		check_filled(buffer_at(&pool, taken[i]), size, i * SIZE);
		CHECK_IS(pool.stack->count, COUNT - 1 - i);
		ASK(ch, RECV, h);
	}
	for (int i = 0; i < 3; i++)
		give_back(&pool, taken[i]);
	SYS(close(pair[1]));
	COMPLETES(ch, 1, RECV, 0);
	CHECK_IS(pool.stack->count, COUNT);
	drop(ch, h);
}

/* More handles have something to read than there are buffers. */
static void check_starved(void)
{
	uint32_t handles[COUNT + 1], taken[COUNT];
	int pairs[COUNT + 1][2];

	for (int i = 0; i <= COUNT; i++) {
		unix_pair(pairs[i], SOCK_SEQPACKET);
		handles[i] = add(ch, pairs[i][0], i);
		send_all(pairs[i][1], "data", 4);
	}
	for (int i = 0; i < COUNT; i++) {
		ASK(ch, RECV, handles[i]);
		taken[i] = COMPLETES(ch, i, RECV, 4).info;
	}
	ASK(ch, RECV, handles[COUNT]);
	COMPLETES(ch, COUNT, RECV, -ENOBUFS);
	for (int i = 0; i < COUNT; i++)
		give_back(&pool, taken[i]);
	ASK(ch, RECV, handles[COUNT]);
	give_back(&pool, COMPLETES(ch, COUNT, RECV, 4).info);
}

void test(void)
{
	ch = new_channel();
	pool = give_buffers(ch, COUNT, SIZE);
	check_pieces();
	check_starved();
	CHECK_IS(pool.stack->count, COUNT);
	SYS(close(ch));
}
