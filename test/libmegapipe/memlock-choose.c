/* SPDX-License-Identifier: MIT */
/*
 * mp_choose() finds what so many channels can have at the same time: all the
 * same engine, and sizes with which RLIMIT_MEMLOCK has room for all; or another
 * engine, and it says why.
 */
#include "check.h"
#include "memlock.h"

#define LIMIT (64 * 1024)
/* With the default sizes there is room for two. */
#define SOME 4
#define MANY 64

static void check_some(void)
{
	struct mp_options options = { .size = sizeof(options),
				      .engine = engine };
	struct mp_channel *channels[SOME];

	CHECK_IS(mp_choose(&options, SOME), 0);
	CHECK(!strcmp(options.engine, engine));
	CHECK(options.completions < MP_COMPLETIONS_DEFAULT);
	for (int i = 0; i < SOME; i++) {
		struct mp_stats stats;

		CHECK_IS(mp_create(&options, &channels[i]), 0);
		stats = stats_of(channels[i]);
		CHECK_IS(stats.completion_entries, options.completions);
		CHECK_IS(stats.buffers, options.buffers);
	}
	for (int i = 0; i < SOME; i++)
		mp_destroy(channels[i]);
}

static void check_many(void)
{
	struct mp_options options = { .size = sizeof(options) };

	options.engine = engine;
	CHECK_IS(mp_choose(&options, MANY), -ENOMEM);
	CHECK(strstr(mp_why(), "RLIMIT_MEMLOCK is 64 KiB"));
	options.engine = "auto";
	CHECK_IS(mp_choose(&options, MANY), 0);
	CHECK(strcmp(options.engine, "auto"));
	CHECK(strcmp(options.engine, engine));
	if (!strcmp(options.engine, "epoll"))
		CHECK(strstr(mp_why(), "RLIMIT_MEMLOCK"));
}

void test(void)
{
	struct mp_options options = { .size = sizeof(options),
				      .engine = "none" };

	CHECK_IS(mp_choose(&options, 1), -ENOENT);
	options.engine = "epoll";
	CHECK_IS(mp_choose(&options, 0), -EINVAL);
	CHECK_IS(mp_choose(&options, MP_CHANNELS_MAX + 1), -EINVAL);
	CHECK_IS(mp_choose(NULL, 1), -EINVAL);
	CHECK_IS(mp_choose(&options, 3), 0);
	CHECK(!strcmp(options.engine, "epoll"));
	limit_memlock(LIMIT);
	check_some();
	check_many();
}
