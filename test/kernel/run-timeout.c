/* SPDX-License-Identifier: MIT */
/* A call waits for completions no longer than it was told, nor shorter. */
#include <time.h>

#include "channel.h"

static int ch, pair[2];
static uint32_t h;
static struct megapipe_completion got[4];

static int64_t now_ns(void)
{
	struct timespec t;

	SYS(clock_gettime(CLOCK_MONOTONIC, &t));
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* Nothing comes: it lasts at least so long, and says -ETIME. */
static void lasts(int64_t timeout_ns, uint32_t min, uint32_t min_wait_ns)
{
	struct megapipe_run run = {
		.completions = ADDRESS(got),
		.max = 4,
		.timeout_ns = timeout_ns,
		.min = min,
		.min_wait_ns = min_wait_ns,
	};
	int64_t start = now_ns();

	CHECK_IS(try_run(ch, &run), -ETIME);
	CHECK_IS(run.stored, 0);
	CHECK_IS(run.done, 0);
	CHECK(now_ns() - start >= timeout_ns);
}

/* What is there comes at once, however long it might wait. */
static void check_there(int64_t timeout_ns)
{
	struct megapipe_run run = {
		.completions = ADDRESS(got),
		.max = 4,
		.timeout_ns = timeout_ns,
	};

	ASK(ch, WRITE, h, BYTES("x", 1));
	CHECK_IS(try_run(ch, &run), 0);
	CHECK_IS(run.stored, 1);
}

static void check_wrong(void)
{
	struct megapipe_run run = {
		.completions = ADDRESS(got),
		.max = 4,
		.timeout_ns = -2,
	};

	CHECK_IS(try_run(ch, &run), -EINVAL);
	run.timeout_ns = INT64_MIN;
	CHECK_IS(try_run(ch, &run), -EINVAL);
}

void test(void)
{
	ch = new_channel();
	unix_pair(pair, SOCK_STREAM);
	h = add(ch, pair[0], 1);
	lasts(0, 0, 0);
	lasts(1, 0, 0);
	lasts(20 * NS_PER_MS, 0, 0);
	lasts(20 * NS_PER_MS, 4, 5 * NS_PER_MS);
	lasts(20 * NS_PER_MS, 4, UINT32_MAX);
	lasts(0, 4, 0);
	check_there(0);
	check_there(-1);
	check_there(PATIENCE_NS);
	check_there(INT64_MAX);
	check_wrong();
	SYS(close(ch));
}
