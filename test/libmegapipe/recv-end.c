/* SPDX-License-Identifier: MIT */
/*
 * At the end mp_recv() gives 0 and no buffer, again and again; giving that
 * back frees no other.
 */
#include "check.h"

void test(void)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .buffers = 4 });
	struct mp_handle *h;
	struct mp_event ev, held;
	int pair[2];

	tcp_pair(pair);
	h = make_handle(ch, pair[0]);
	send_all(pair[1], "last", 4);
	SYS(shutdown(pair[1], SHUT_WR));
	CHECK_IS(mp_recv(h), 0);
	held = EXPECT(ch, h, MP_RECV, 4);
	for (int i = 0; i < 20; i++) {
		CHECK_IS(mp_recv(h), 0);
		ev = EXPECT(ch, h, MP_RECV, 0);
		CHECK_IS(stats_of(ch).buffers_held, 1);
		CHECK(mp_release(ch, &ev) < 0);
	}
	CHECK_IS(mp_release(ch, &held), 0);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	mp_destroy(ch);
	SYS(close(pair[1]));
}
