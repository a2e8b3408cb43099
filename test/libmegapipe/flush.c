/* SPDX-License-Identifier: MIT */
/* mp_flush() pushes what was collected; before that, nothing is. */
#include "check.h"

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h;
	char text[4];
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_flush(ch), 0);
	CHECK_IS(mp_write(h, "one", 3), 0);
	CHECK(!readable(pair[1], QUIET_US / 1000));
	CHECK_IS(mp_flush(ch), 0);
	receive_all(pair[1], text, 3);
	CHECK_IS(stats_of(ch).flushes, 1);
	CHECK_IS(stats_of(ch).flushed, 1);
	EXPECT(ch, h, MP_WRITE, 3);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
