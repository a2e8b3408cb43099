/* SPDX-License-Identifier: MIT */
/*
 * Accepting from what doesn't listen is an error, by the call or by its event.
 */
#include "check.h"

static void check_refused(struct mp_channel *ch, int fd)
{
	struct mp_handle *h = make_handle(ch, fd);
	int r = mp_accept(h, 1, false);

	if (r == 0)
		EXPECT(ch, h, MP_ACCEPT, -EINVAL);
	else
		CHECK_IS(r, -EINVAL);
	EXPECT_NONE(ch);
	CHECK_IS(mp_unregister(h), 0);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int pair[2], ends[2];

	tcp_pair(pair);
	SYS(pipe(ends));
	check_refused(ch, pair[0]);
	check_refused(ch, ends[0]);
	mp_destroy(ch);
	for (int i = 0; i < 2; i++) {
		SYS(close(pair[i]));
		SYS(close(ends[i]));
	}
}
