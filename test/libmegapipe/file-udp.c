/* SPDX-License-Identifier: MIT */
/*
 * A UDP socket keeps the bounds of messages, both ways; an empty one isn't an
 * end.
 */
#include "check.h"

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h;
	struct mp_event ev;
	char text[16];
	int pair[2], cpu;

	CHECK_IS(allowed_cpus(&cpu, 1), 1);
	pin_to(cpu); /* from two CPUs they may come in another order */
	udp_pair(pair);
	h = make_handle(ch, pair[0]);
	SYS(send(pair[1], "one", 3, 0));
	SYS(send(pair[1], "", 0, 0));
	SYS(send(pair[1], "four", 4, 0));
	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	EXPECT(ch, h, MP_READ, 3);
	CHECK_IS(mp_recv(h), 0);
	EXPECT(ch, h, MP_RECV, 0);
	CHECK_IS(mp_recv(h), 0);
	ev = EXPECT(ch, h, MP_RECV, 4);
	CHECK_BYTES(ev.recv.data, "four", 4);
	CHECK_IS(mp_release(ch, &ev), 0);

	CHECK_IS(mp_write(h, "back", 4), 0);
	EXPECT(ch, h, MP_WRITE, 4);
	CHECK_IS(SYS(read(pair[1], text, sizeof(text))), 4);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
