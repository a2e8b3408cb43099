// SPDX-License-Identifier: MIT
/*
 * mp_options and mp_stats tell their size: what a later version adds is 0 for
 * an earlier caller, and refused by an earlier library if it is set.
 */
#include <stddef.h>

#include "check.h"

/* What version 0.2 had. */
#define OPTIONS_0_2 offsetof(struct mp_options, steal_us)
#define STATS_0_2 offsetof(struct mp_stats, accepts_stolen)

/* As a later version may have them. */
struct later_options {
	struct mp_options now;
	uint64_t later;
};

struct later_stats {
	struct mp_stats now;
	uint64_t later;
};

static void check_options(uint32_t size, uint64_t later, int result)
{
	struct later_options options = {
		.now = { .size = size, .engine = engine }, .later = later
	};
	struct mp_channel *untouched = (struct mp_channel *)&options,
			  *ch = untouched;

	CHECK_IS(mp_create(&options.now, &ch), result);
	if (result == 0)
		mp_destroy(ch);
	else
		CHECK(ch == untouched);
}

static void check_stats(const struct mp_channel *ch, uint32_t size, int result)
{
	struct later_stats stats;

	memset(&stats, 0xaa, sizeof(stats));
	stats.now.size = size;
	CHECK_IS(mp_stats(ch, &stats.now), result);
	CHECK_IS(stats.now.size, size);
	if (result == 0)
		CHECK_IS(stats.now.handles, 1);
	CHECK(stats.later ==
	      (size == sizeof(stats) ? 0 : 0xaaaaaaaaaaaaaaaaULL));
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int pair[2];

	check_options(0, 0, -EINVAL);
	check_options(sizeof(uint32_t), 0, -EINVAL);
	check_options(OPTIONS_0_2 - 1, 0, -EINVAL);
	check_options(OPTIONS_0_2, 1, 0);
	check_options(sizeof(struct mp_options), 1, 0);
	check_options(sizeof(struct later_options), 0, 0);
	check_options(sizeof(struct later_options), 1, -E2BIG);
	check_options(sizeof(struct later_options), 1ULL << 56, -E2BIG);

	unix_pair(pair, SOCK_STREAM);
	make_handle(ch, pair[0]);
	check_stats(ch, 0, -EINVAL);
	check_stats(ch, STATS_0_2 - 1, -EINVAL);
	check_stats(ch, STATS_0_2, 0);
	check_stats(ch, sizeof(struct mp_stats), 0);
	check_stats(ch, sizeof(struct later_stats), 0);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
