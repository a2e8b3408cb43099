/* SPDX-License-Identifier: MIT */
/*
 * What is received ahead for handles that nobody asks about must not keep the
 * buffers from a handle that is asked: the caller holds none, so none waits.
 */
#include "check.h"

#define BUFFERS 4
#define CHATTY 8
#define MESSAGES 6

static void talk(int fd)
{
	for (int i = 0; i < MESSAGES; i++)
		send_all(fd, "message", 7);
}

void test(void)
{
	struct mp_channel *ch = make_channel_with(
		(struct mp_options){ .buffers = BUFFERS, .buffer_size = 64 });
	int pairs[CHATTY + 1][2];
	struct mp_handle *handles[CHATTY + 1];
	struct mp_event ev;

	for (int i = 0; i <= CHATTY; i++) {
		unix_pair(pairs[i], SOCK_STREAM);
		handles[i] = make_handle(ch, pairs[i][0]);
		CHECK_IS(mp_recv(handles[i]), 0);
		if (i < CHATTY)
			talk(pairs[i][1]);
	}
	for (int i = 0; i < CHATTY; i++) {
		ev = NEXT(ch);
		CHECK(ev.cmd == MP_RECV && ev.result > 0);
		CHECK_IS(mp_release(ch, &ev), 0);
		talk(pairs[i][1]);
	}
	EXPECT_NONE(ch);
	send_all(pairs[CHATTY][1], "me too", 6);
	ev = EXPECT(ch, handles[CHATTY], MP_RECV, 6);
	CHECK_IS(mp_release(ch, &ev), 0);
	mp_destroy(ch);
	for (int i = 0; i <= CHATTY; i++) {
		SYS(close(pairs[i][0]));
		SYS(close(pairs[i][1]));
	}
}
