/* SPDX-License-Identifier: MIT */
/*
 * A channel ends when its process executes another program, whether or not
 * that gets the descriptor; it can't use what it gets.
 */
#include <fcntl.h>

#include "channel.h"
#include "machine.h"
#include "processes.h"

struct scene {
	int listener;
	bool keeps;
};

/* Becomes this program again, with the channel's descriptor for argument. */
static void execute(void *arg)
{
	struct scene *s = arg;
	int ch = new_channel();
	uint32_t h = add(ch, s->listener, 1);
	char number[20], text[8];

	ASK(ch, ACCEPT, h, .len = 1);
	h = NEXT_OF(ch).result;
	ASK(ch, READ, h, BYTES(text, 8));
	if (s->keeps)
		SYS(fcntl(ch, F_SETFD, 0));
	snprintf(number, sizeof(number), "%d", ch);
	SYS(execl("/proc/self/exe", "process-executes", engine, number, NULL));
}

/* Tells that it runs by what it writes to standard error's place. */
static void after_execution(int ch)
{
	struct megapipe_run run = { .timeout_ns = PATIENCE_NS };

	if (is_open(ch)) {
		CHECK_IS(try_run(ch, &run), -EPERM);
		CHECK(try_setup(ch, LWSOCKETS) < 0);
	}
	pause();
}

static void check(int listener, bool keeps)
{
	struct scene s = { listener, keeps };
	pid_t child = start(execute, &s);
	int client = connect_to(listener);

	receive_end(client);
	SYS(close(client));
	if (!keeps)
		await_module_users(0);
	/* it goes on to do nothing wrong for a while */
	poll(NULL, 0, 200);
	CHECK_IS(module_users(), keeps);
	end(child);
	await_module_users(0);
}

void test(void)
{
	int listener;

	if (argument) {
		after_execution(atoi(argument));
		return;
	}
	listener = listen_tcp(AF_INET);
	check(listener, false);
	check(listener, true);
}
