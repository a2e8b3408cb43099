/* SPDX-License-Identifier: MIT */
/*
 * An engine asked for by name is the one that is got; unknown names are
 * refused.
 */
#include "check.h"

static void check_automatic(const char *name)
{
	struct mp_options options = { .size = sizeof(options), .engine = name };
	struct mp_engine_info info;
	struct mp_channel *ch;

	CHECK_IS(mp_create(&options, &ch), 0);
	CHECK_IS(mp_engine_probe(mp_engine_name(ch), &info), 0);
	CHECK_IS(info.error, 0);
	mp_destroy(ch);
}

static void check_unknown(const char *name)
{
	struct mp_options options = { .size = sizeof(options), .engine = name };
	struct mp_channel *untouched = (struct mp_channel *)&options,
			  *ch = untouched;

	CHECK_IS(mp_create(&options, &ch), -ENOENT);
	CHECK(ch == untouched);
}

void test(void)
{
	struct mp_channel *ch = make_channel();

	CHECK(strcmp(mp_engine_name(ch), engine) == 0);
	mp_destroy(ch);

	check_automatic(NULL);
	check_automatic("auto");
	CHECK_IS(mp_create(NULL, &ch), 0);
	mp_destroy(ch);

	check_unknown("");
	check_unknown("select");
	check_unknown("epol");
	check_unknown("epoll ");
	check_unknown("EPOLL");
}
