/* SPDX-License-Identifier: MIT */
/* A UNIX datagram socket keeps the bounds of messages, both ways. */
#include "check.h"

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h;
	char text[16];
	int pair[2];

	unix_pair(pair, SOCK_DGRAM);
	h = make_handle(ch, pair[0]);
	send_all(pair[1], "one", 3);
	send_all(pair[1], "three", 5);
	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	EXPECT(ch, h, MP_READ, 3);
	CHECK_BYTES(text, "one", 3);
	CHECK_IS(mp_read(h, text, 2), 0);
	EXPECT(ch, h, MP_READ, 2);
	CHECK_BYTES(text, "th", 2);

	CHECK_IS(mp_write(h, "answer", 6), 0);
	CHECK_IS(mp_write(h, "s", 1), 0);
	EXPECT(ch, h, MP_WRITE, 6);
	EXPECT(ch, h, MP_WRITE, 1);
	CHECK_IS(SYS(read(pair[1], text, sizeof(text))), 6);
	CHECK_IS(SYS(read(pair[1], text, sizeof(text))), 1);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
