/* SPDX-License-Identifier: MIT */
/* A UNIX seqpacket socket keeps the bounds of messages, both ways, and ends. */
#include "check.h"

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h;
	struct mp_event ev;
	char text[16];
	int pair[2];

	unix_pair(pair, SOCK_SEQPACKET);
	h = make_handle(ch, pair[0]);
	send_all(pair[1], "one", 3);
	send_all(pair[1], "three", 5);
	CHECK_IS(mp_recv(h), 0);
	ev = EXPECT(ch, h, MP_RECV, 3);
	CHECK_IS(mp_release(ch, &ev), 0);
	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	EXPECT(ch, h, MP_READ, 5);
	CHECK_BYTES(text, "three", 5);
	CHECK_IS(mp_write(h, "four", 4), 0);
	CHECK_IS(mp_write(h, "ten", 3), 0);
	EXPECT(ch, h, MP_WRITE, 4);
	EXPECT(ch, h, MP_WRITE, 3);
	CHECK_IS(SYS(read(pair[1], text, sizeof(text))), 4);
	CHECK_IS(SYS(read(pair[1], text, sizeof(text))), 3);
	SYS(close(pair[1]));
	CHECK_IS(mp_recv(h), 0);
	EXPECT(ch, h, MP_RECV, 0);
	mp_destroy(ch);
	SYS(close(pair[0]));
}
