/* SPDX-License-Identifier: MIT */
/*
 * A read gives what is there, at most what was asked for, then waits, then the
 * end, again and again.
 */
#include "check.h"

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h;
	char text[32];
	int pair[2];

	tcp_pair(pair);
	h = make_handle(ch, pair[0]);
	send_all(pair[1], "0123456789", 10);
	CHECK_IS(mp_read(h, text, 4), 0);
	EXPECT(ch, h, MP_READ, 4);
	CHECK_BYTES(text, "0123", 4);
	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	EXPECT(ch, h, MP_READ, 6);
	CHECK_BYTES(text, "456789", 6);
	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	EXPECT_NONE(ch);
	SYS(shutdown(pair[1], SHUT_WR));
	EXPECT(ch, h, MP_READ, 0);
	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	EXPECT(ch, h, MP_READ, 0);
	CHECK_IS(mp_write(h, "still", 5), 0);
	EXPECT(ch, h, MP_WRITE, 5);
	receive_all(pair[1], text, 5);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
