/* SPDX-License-Identifier: MIT */
/*
 * mp_recv() hands out the bytes in a buffer of the channel, which stay until
 * the release.
 */
#include "check.h"

#define MESSAGES 50

void test(void)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .buffers = 64 });
	struct mp_event events[MESSAGES];
	char bytes[100];
	struct mp_handle *h;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	for (int i = 0; i < MESSAGES; i++) {
		fill(bytes, sizeof(bytes), i * 1000);
		CHECK_IS(mp_recv(h), 0);
		send_all(pair[1], bytes, sizeof(bytes));
		events[i] = EXPECT(ch, h, MP_RECV, sizeof(bytes));
	}
	CHECK_IS(stats_of(ch).buffers_held, MESSAGES);
	for (int i = 0; i < MESSAGES; i++) {
		check_filled(events[i].recv.data, sizeof(bytes), i * 1000);
		CHECK_IS(mp_release(ch, &events[i]), 0);
	}
	CHECK_IS(stats_of(ch).buffers_held, 0);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	mp_destroy(ch);
	SYS(close(pair[1]));
}
