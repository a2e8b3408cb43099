/* SPDX-License-Identifier: MIT */
/* The probe of an engine says the same as making a channel of it. */
#include "check.h"

static bool names_only(const char *text, size_t size)
{
	return memchr(text, '\0', size) && text[strspn(text, " ")] == text[0];
}

static void check_agreement(const char *name)
{
	struct mp_options options = { .size = sizeof(options), .engine = name };
	struct mp_engine_info info;
	struct mp_channel *ch;

	memset(&info, 0xff, sizeof(info));
	CHECK_IS(mp_engine_probe(name, &info), 0);
	CHECK_IS(mp_create(&options, &ch), info.error);
	CHECK(names_only(info.features, sizeof(info.features)));
	CHECK(names_only(info.missing, sizeof(info.missing)));
	if (info.error == 0)
		mp_destroy(ch);
}

void test(void)
{
	struct mp_engine_info info;

	check_agreement("kernel");
	check_agreement("uring");
	check_agreement("epoll");
	CHECK_IS(mp_engine_probe("select", &info), -ENOENT);
	CHECK_IS(mp_engine_probe("", &info), -ENOENT);
	CHECK_IS(mp_engine_probe(engine, NULL), -EINVAL);
}
