/* SPDX-License-Identifier: MIT */
/*
 * A call may wait a while for more than one completion; then it takes what
 * there is.
 */
#include "channel.h"
#include "processes.h"

#define COUNT 8

static int ch, pairs[COUNT][2];
static struct megapipe_completion got[COUNT];

static void ask_all(void)
{
	static char text[COUNT];

	for (int i = 0; i < COUNT; i++)
		ASK(ch, READ, add(ch, pairs[i][0], i), BYTES(&text[i], 1));
}

static void send_one_by_one(void *arg)
{
	(void)arg;
	for (int i = 0; i < COUNT; i++) {
		poll(NULL, 0, 5);
		send_all(pairs[i][1], "x", 1);
	}
}

static uint32_t take(uint32_t max, uint32_t min, int64_t min_wait_ns)
{
	struct megapipe_run run = {
		.completions = ADDRESS(got),
		.max = max,
		.timeout_ns = PATIENCE_NS,
		.min = min,
		.min_wait_ns = min_wait_ns,
	};

	CHECK_IS(try_run(ch, &run), 0);
	return run.stored;
}

/* It waits for all of them, and comes before its time is over. */
static void check_enough(void)
{
	pid_t child = start(send_one_by_one, NULL);

	CHECK_IS(take(COUNT, COUNT, 4000 * NS_PER_MS), COUNT);
	passes(child);
}

/* One comes, and no more: it does not wait for ever. */
static void check_too_few(void)
{
	send_all(pairs[0][1], "x", 1);
	CHECK_IS(take(COUNT, COUNT, 20 * NS_PER_MS), 1);
	CHECK_IS(got[0].cookie, 0);
}

/* More than there is room for can't be waited for. */
static void check_room(void)
{
	struct megapipe_run run = {
		.completions = ADDRESS(got),
		.max = 3,
		.min = 4,
	};

	CHECK_IS(try_run(ch, &run), -EINVAL);
	for (int i = 1; i < COUNT; i++)
		send_all(pairs[i][1], "x", 1);
	CHECK_IS(take(3, 3, 4000 * NS_PER_MS), 3);
	CHECK_IS(take(COUNT, 0, 0), COUNT - 4);
}

static void unregister_all(void)
{
	for (int i = 0; i < COUNT; i++) {
		for (int j = 0; j < 2; j++)
			SYS(close(pairs[i][j]));
		unix_pair(pairs[i], SOCK_STREAM);
	}
}

void test(void)
{
	ch = new_channel();
	for (int i = 0; i < COUNT; i++)
		unix_pair(pairs[i], SOCK_STREAM);
	ask_all();
	check_enough();
	unregister_all();
	ask_all();
	check_too_few();
	check_room();
	STAYS_QUIET(ch);
	SYS(close(ch));
}
