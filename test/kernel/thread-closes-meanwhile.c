/* SPDX-License-Identifier: MIT */
/*
 * Another thread closes the channel, or what it works on, while its own thread
 * is inside: nothing breaks, and it ends when that comes out.
 */
#include <pthread.h>

#include "channel.h"
#include "machine.h"

#define ROUNDS 100

static int ch, pair[2];

static void *close_channel(void *arg)
{
	poll(NULL, 0, (int)(intptr_t)arg);
	SYS(close(ch));
	return NULL;
}

static void *close_files(void *arg)
{
	poll(NULL, 0, (int)(intptr_t)arg);
	SYS(close(pair[0]));
	send_all(pair[1], "x", 1);
	return NULL;
}

static void round_of(void *(*disturb)(void *), int i)
{
	char text[8];
	struct megapipe_completion c;
	struct megapipe_run run = {
		.completions = ADDRESS(&c),
		.max = 1,
		.timeout_ns = 3 * NS_PER_MS,
	};
	pthread_t thread;
	uint32_t h;

	ch = new_channel();
	unix_pair(pair, SOCK_STREAM);
	h = add(ch, pair[0], 1);
	ASK(ch, READ, h, BYTES(text, 8));
	CHECK_IS(pthread_create(&thread, NULL, disturb,
				(void *)(intptr_t)(i % 3)),
		 0);
	while (try_run(ch, &run) == -ETIME)
		;
	CHECK_IS(pthread_join(thread, NULL), 0);
	if (disturb == close_files) {
		/* the handle keeps its file */
		CHECK_IS(run.stored, 1);
		CHECK_IS(c.result, 1);
		SYS(close(ch));
	} else {
		SYS(close(pair[0]));
	}
	SYS(close(pair[1]));
}

void test(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		round_of(close_channel, i);
		round_of(close_files, i);
	}
	await_module_users(0);
}
