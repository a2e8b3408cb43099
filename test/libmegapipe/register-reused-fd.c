/* SPDX-License-Identifier: MIT */
/*
 * A number that comes back after a close is a new handle, which gets nothing
 * of the old one.
 */
#include "check.h"

#define ROUNDS 50

void test(void)
{
	struct mp_channel *ch = make_channel();
	static char cookies[ROUNDS];
	struct mp_handle *h;
	struct mp_event ev;
	char text[8];
	int pair[2], last = -1;

	for (int i = 0; i < ROUNDS; i++) {
		unix_pair(pair, SOCK_STREAM);
		CHECK(last < 0 || pair[0] == last);
		last = pair[0];
		CHECK_IS(mp_register(ch, pair[0], &cookies[i], NULL, &h), 0);
		CHECK_IS(mp_handle_id(h), pair[0]);
		CHECK_IS(mp_recv(h), 0);
		EXPECT(ch, h, MP_RECV, (send_all(pair[1], "abc", 3), 3));
		CHECK_IS(mp_read(h, text, sizeof(text)), 0);
		if (i % 2) {
			CHECK_IS(mp_close(h), 0);
			ev = EXPECT(ch, h, MP_READ, -ECANCELED);
			CHECK(ev.cookie == &cookies[i]);
			ev = EXPECT(ch, h, MP_CLOSE, 0);
			CHECK(ev.cookie == &cookies[i]);
		} else {
			CHECK_IS(mp_unregister(h), 0);
			SYS(close(pair[0]));
		}
		SYS(close(pair[1]));
	}
	mp_destroy(ch);
}
