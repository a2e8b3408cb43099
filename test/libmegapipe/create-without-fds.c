/* SPDX-License-Identifier: MIT */
/* Without a free descriptor no channel can be made (-EMFILE), and with one
 * again it can. */
#include "check.h"

void test(void)
{
	struct mp_options options = { .size = sizeof(options),
				      .engine = engine };
	struct mp_channel *ch = NULL;
	int lowest = SYS(dup(0));

	SYS(close(lowest));
	CHECK(limit_fds(lowest));
	CHECK_IS(mp_create(&options, &ch), -EMFILE);
	CHECK(ch == NULL);
	CHECK(limit_fds(lowest + 10));
	CHECK_IS(mp_create(&options, &ch), 0);
	mp_destroy(ch);
}
