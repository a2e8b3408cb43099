/* SPDX-License-Identifier: MIT */
/*
 * A handle may leave from within the handling of its own event, and of its
 * last.
 */
#include "check.h"

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h;
	char text[8];
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	for (int i = 0; i < 20; i++) {
		CHECK_IS(mp_write(h, "a", 1), 0);
		CHECK_IS(mp_read(h, text, 1), 0);
		send_all(pair[1], "b", 1);
		CHECK(NEXT(ch).handle == h);
		CHECK_IS(mp_unregister(h), 0);
		CHECK_IS(mp_unregister(h), -EBADF);
		h = make_handle(ch, pair[0]);
	}
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	CHECK_IS(mp_unregister(h), -EBADF);
	EXPECT_NONE(ch);
	mp_destroy(ch);
	SYS(close(pair[1]));
}
