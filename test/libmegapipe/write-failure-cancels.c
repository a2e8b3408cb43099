/* SPDX-License-Identifier: MIT */
/*
 * A failed write cancels the writes queued behind it; disconnect and close
 * still happen.
 */
#include "check.h"

#define SIZE (16 << 20)

static void check_failure(struct mp_channel *ch)
{
	char *bytes = calloc(1, SIZE);
	struct mp_handle *h;
	struct mp_event ev;
	int pair[2];

	tcp_pair(pair);
	small_buffers(pair);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_write(h, bytes, SIZE), 0);
	CHECK_IS(mp_write(h, "a", 1), 0);
	CHECK_IS(mp_write(h, bytes, SIZE), 0);
	CHECK_IS(mp_disconnect(h, SHUT_WR), 0);
	CHECK_IS(mp_close(h), 0);
	EXPECT_NONE(ch);
	reset(pair[1]);
	ev = NEXT(ch);
	CHECK(ev.cmd == MP_WRITE &&
	      (ev.result == -ECONNRESET || ev.result == -EPIPE));
	EXPECT(ch, h, MP_WRITE, -ECANCELED);
	EXPECT(ch, h, MP_WRITE, -ECANCELED);
	ev = NEXT(ch);
	CHECK(ev.cmd == MP_DISCONNECT &&
	      (ev.result == 0 || ev.result == -ENOTCONN));
	EXPECT(ch, h, MP_CLOSE, 0);
	CHECK(!is_open(pair[0]));
	free(bytes);
}

void test(void)
{
	struct mp_channel *ch = make_channel();

	for (int i = 0; i < 3; i++)
		check_failure(ch);
	EXPECT_NONE(ch);
	mp_destroy(ch);
}
