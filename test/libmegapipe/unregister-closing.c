/* SPDX-License-Identifier: MIT */
/*
 * mp_unregister() gives up on a close that waits for writes which the peer
 * doesn't take.
 */
#include "check.h"

#define SIZE (8 << 20)

void test(void)
{
	struct mp_channel *ch = make_channel();
	char *bytes = calloc(1, SIZE);
	struct mp_handle *h;
	int pair[2];

	tcp_pair(pair);
	small_buffers(pair);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_write(h, bytes, SIZE), 0);
	CHECK_IS(mp_close(h), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_unregister(h), 0);
	free(bytes);
	EXPECT_NONE(ch);
	CHECK_IS(mp_unregister(h), -EBADF);
	CHECK_IS(stats_of(ch).handles, 0);
	mp_destroy(ch);
	SYS(close(pair[1]));
}
