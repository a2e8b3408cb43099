/* SPDX-License-Identifier: MIT */
/*
 * A forked child that stays keeps the files open: after the parent has closed
 * or unregistered its handles, nothing of those files reaches the channel.
 */
#include "check.h"

#define PAIRS 40

static int pairs[PAIRS][2];
static char room[PAIRS][8];

static void leave(struct mp_channel *ch, struct mp_handle *h, bool by_close)
{
	if (!by_close) {
		CHECK_IS(mp_unregister(h), 0);
		return;
	}
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_READ, -ECANCELED);
	EXPECT(ch, h, MP_CLOSE, 0);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *handles[PAIRS];
	pid_t child;

	for (int i = 0; i < PAIRS; i++) {
		unix_pair(pairs[i], SOCK_STREAM);
		handles[i] = make_handle(ch, pairs[i][0]);
		CHECK_IS(mp_read(handles[i], room[i], sizeof(room[i])), 0);
	}
	EXPECT_NONE(ch);
	child = staying_child();
	for (int i = 0; i < PAIRS - 1; i++)
		leave(ch, handles[i], i % 2);
	for (int i = 0; i < PAIRS; i++)
		send_all(pairs[i][1], "hello", 5);
	EXPECT(ch, handles[PAIRS - 1], MP_READ, 5);
	EXPECT_NONE(ch);
	end_child(child);
	mp_destroy(ch);
}
