/* SPDX-License-Identifier: MIT */
/*
 * What closing costs doesn't grow with the closes that wait for slow peers.
 */
#include <poll.h>
#include <time.h>

#include "check.h"

#define FEW 50
#define MANY 3000
#define MOST_GROWTH 10
#define CLOSES 300
#define LONG_US 3600000000ll

static char big[1 << 20];

static int64_t cpu_ns(void)
{
	struct timespec t;

	SYS(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t));
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void take_all(struct mp_channel *ch)
{
	struct mp_event ev;

	while (mp_dispatch(ch, &ev, 0) == 1)
		;
}

/* With a poll in flight, which is to be seen to end soon. */
static int64_t close_one(struct mp_channel *ch)
{
	int pair[2];
	struct mp_handle *h;
	int64_t begin_ns;

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_poll(h, POLLRDHUP), 0);
	take_all(ch);
	begin_ns = cpu_ns();
	CHECK_IS(mp_close(h), 0);
	begin_ns = cpu_ns() - begin_ns;
	take_all(ch);
	SYS(close(pair[1]));
	return begin_ns;
}

static int64_t least_with(int waiting)
{
	static int pairs[MANY][2];
	struct mp_channel *ch = make_channel();
	int64_t best_ns = INT64_MAX;

	for (int i = 0; i < waiting; i++) {
		struct mp_handle *h;

		unix_pair(pairs[i], SOCK_STREAM);
		h = make_handle(ch, pairs[i][0]);
		CHECK_IS(mp_write(h, big, sizeof(big)), 0);
		CHECK_IS(mp_close_within(h, LONG_US), 0);
	}
	take_all(ch);
	for (int i = 0; i < CLOSES; i++) {
		int64_t ns = close_one(ch);

		best_ns = ns < best_ns ? ns : best_ns;
	}
	mp_destroy(ch);
	for (int i = 0; i < waiting; i++)
		SYS(close(pairs[i][1]));
	return best_ns;
}

void test(void)
{
	int64_t few_ns, many_ns;

	if (!limit_fds(2 * MANY + 100))
		skip("not so many files allowed here");
	few_ns = least_with(FEW);
	many_ns = least_with(MANY);
	if (many_ns > MOST_GROWTH * few_ns)
		fail(__FILE__, __LINE__, "%lld ns with %d, %lld with %d",
		     (long long)few_ns, FEW, (long long)many_ns, MANY);
}
