/* SPDX-License-Identifier: MIT */
/* A file may have any number of handles, each by itself. */
#include "channel.h"

#define COUNT 5000

static int ch;

static void check_same_file(void)
{
	static uint32_t handles[COUNT];
	static char text[COUNT];
	int pair[2], count = 0;

	unix_pair(pair, SOCK_SEQPACKET);
	for (int i = 0; i < COUNT; i++) {
		handles[i] = add(ch, pair[0], i);
		ASK(ch, READ, handles[i], BYTES(&text[i], 1));
	}
	CHECK_IS(stats_now(ch).files, COUNT);
	STAYS_QUIET(ch);
	for (int i = 0; i < 10; i++)
		send_all(pair[1], "x", 1);
	for (int i = 0; i < 10; i++)
		CHECK_IS(NEXT_OF(ch).result, 1);
	STAYS_QUIET(ch);
	/* the end is everybody's */
	SYS(close(pair[1]));
	for (; count < COUNT - 10; count++)
		CHECK_IS(NEXT_OF(ch).result, 0);
	for (int i = 0; i < COUNT; i++)
		drop(ch, handles[i]);
	CHECK_IS(stats_now(ch).files, 0);
	SYS(close(pair[0]));
}

void test(void)
{
	ch = new_channel();
	check_same_file();
	SYS(close(ch));
}
