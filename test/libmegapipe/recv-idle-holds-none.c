/* SPDX-License-Identifier: MIT */
/*
 * Idle connections hold no buffer: many more of them than buffers wait in
 * mp_recv(), each is served.
 */
#include "check.h"

#define CONNECTIONS 64

void test(void)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .buffers = 2 });
	int pairs[CONNECTIONS][2];
	struct mp_handle *handles[CONNECTIONS];

	for (int i = 0; i < CONNECTIONS; i++) {
		unix_pair(pairs[i], SOCK_STREAM);
		handles[i] = make_handle(ch, pairs[i][0]);
		CHECK_IS(mp_recv(handles[i]), 0);
	}
	EXPECT_NONE(ch);
	CHECK_IS(stats_of(ch).buffers_held, 0);
	for (int i = CONNECTIONS - 1; i >= 0; i--) {
		struct mp_event ev;

		send_all(pairs[i][1], "hello", 5);
		ev = EXPECT(ch, handles[i], MP_RECV, 5);
		CHECK_IS(mp_release(ch, &ev), 0);
	}
	mp_destroy(ch);
	for (int i = 0; i < CONNECTIONS; i++) {
		SYS(close(pairs[i][0]));
		SYS(close(pairs[i][1]));
	}
}
