/* SPDX-License-Identifier: MIT */
/* Thousands of commands at once are all carried out, in their order. */
#include "channel.h"

#define COUNT 20000

static struct megapipe_command commands[COUNT];

void test(void)
{
	struct megapipe_run run = {
		.commands = ADDRESS(commands),
		.ncommands = COUNT,
	};
	int ch = new_channel(), pair[2];
	uint32_t h;

	unix_pair(pair, SOCK_STREAM);
	h = add(ch, pair[0], 0);
	for (int i = 0; i < COUNT; i++)
		commands[i] = COMMAND(COOKIE, h, .addr = i);
	CHECK_IS(try_run(ch, &run), 0);
	CHECK_IS(run.done, COUNT);
	CHECK_IS(run.stored, 0);
	ASK(ch, WRITE, h, BYTES("x", 1));
	COMPLETES(ch, COUNT - 1, WRITE, 1);
	CHECK(stats_now(ch).commands > COUNT);

	/* refused far behind the first ones */
	commands[COUNT - 7].op = 0;
	CHECK_IS(try_run(ch, &run), -EINVAL);
	CHECK_IS(run.done, COUNT - 7);

	/* more than there can be, and memory ends before them */
	run.ncommands = UINT32_MAX;
	CHECK(try_run(ch, &run) < 0);
	check_usable(ch);
	SYS(close(ch));
}
