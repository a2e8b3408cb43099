/* SPDX-License-Identifier: MIT */
/* The count done names the command that was refused; those before it count. */
#include "channel.h"

void test(void)
{
	struct megapipe_completion got[8];
	int ch = new_channel(), pair[2];
	uint32_t h;
	char text[8];
	struct megapipe_run run = {
		.completions = ADDRESS(got),
		.max = 8,
		.timeout_ns = PATIENCE_NS,
	};

	unix_pair(pair, SOCK_STREAM);
	h = add(ch, pair[0], 1);
	run.commands = ADDRESS(((struct megapipe_command[]){
		COMMAND(COOKIE, h, .addr = 2),
		COMMAND(WRITE, h, BYTES("abc", 3)),
		COMMAND(READ, h ^ 1, BYTES(text, 1)),
		COMMAND(COOKIE, h, .addr = 3),
	}));
	run.ncommands = 4;
	CHECK_IS(try_run(ch, &run), -EBADF);
	CHECK_IS(run.done, 2);
	receive_all(pair[1], text, 3);
	if (run.stored == 0)
		COMPLETES(ch, 2, WRITE, 3);
	else
		CHECK(run.stored == 1 && got[0].cookie == 2);
	/* the one behind it was not carried out */
	ASK(ch, WRITE, h, BYTES("d", 1));
	COMPLETES(ch, 2, WRITE, 1);
	STAYS_QUIET(ch);
	SYS(close(ch));
}
