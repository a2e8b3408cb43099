/* SPDX-License-Identifier: MIT */
/*
 * mp_readv() fills its pieces in order, skips empty ones, and has copied the
 * iovec array.
 */
#include "check.h"

void test(void)
{
	struct mp_channel *ch = make_channel();
	char a[3], b[5], c[8];
	struct iovec iov[] = { { a, 3 }, { NULL, 0 }, { b, 5 }, { c, 8 } };
	struct mp_handle *h;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_readv(h, iov, 4), 0);
	memset(iov, 0xff, sizeof(iov));
	EXPECT_NONE(ch);
	send_all(pair[1], "0123456789", 10);
	EXPECT(ch, h, MP_READ, 10);
	CHECK_BYTES(a, "012", 3);
	CHECK_BYTES(b, "34567", 5);
	CHECK_BYTES(c, "89", 2);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
