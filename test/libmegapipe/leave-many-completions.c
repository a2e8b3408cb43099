/* SPDX-License-Identifier: MIT */
/*
 * What it costs to leave doesn't grow with the completions of others that wait:
 * for sixteen times the handles it is sixteen times as much, not 256 times.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "check.h"

#define FEW 500
#define MANY (16 * FEW)
#define MOST_GROWTH 80
#define RUNS 3

static int64_t cpu_ns(void)
{
	struct timespec t;

	SYS(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t));
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* n handles, each with a completion in memory, leave in order or as they are.
 */
static int64_t leave(int n, bool in_order)
{
	static struct mp_handle *handles[MANY];
	static int fds[MANY];
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .completions = 16384 });
	struct mp_event ev;
	int64_t begin_ns;

	for (int i = 0; i < n; i++) {
		fds[i] = SYS(eventfd(1, 0));
		handles[i] = make_handle(ch, fds[i]);
		CHECK_IS(mp_poll(handles[i], POLLIN), 0);
	}
	ev = NEXT(ch);
	CHECK_IS(ev.cmd, MP_POLL);
	begin_ns = cpu_ns();
	for (int i = 0; in_order && i < n; i++)
		CHECK_IS(mp_unregister(handles[n - 1 - i]), 0);
	mp_destroy(ch);
	begin_ns = cpu_ns() - begin_ns;
	for (int i = 0; i < n; i++)
		SYS(close(fds[i]));
	return begin_ns;
}

static int64_t least(int n, bool in_order)
{
	int64_t best_ns = INT64_MAX;

	for (int i = 0; i < RUNS; i++) {
		int64_t ns = leave(n, in_order);

		best_ns = ns < best_ns ? ns : best_ns;
	}
	return best_ns;
}

void test(void)
{
	if (!limit_fds(MANY + 100))
		skip("not so many files allowed here");
	for (int in_order = 0; in_order < 2; in_order++) {
		int64_t few_ns = least(FEW, in_order);
		int64_t many_ns = least(MANY, in_order);

		if (many_ns > MOST_GROWTH * few_ns)
			fail(__FILE__, __LINE__, "%lld ns for %d, %lld for %d",
			     (long long)few_ns, FEW, (long long)many_ns, MANY);
	}
}
