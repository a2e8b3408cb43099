/* SPDX-License-Identifier: MIT */
/* Nothing to write completes with 0, in its turn. */
#include "check.h"

void test(void)
{
	struct mp_channel *ch = make_channel();
	const struct iovec empty[2] = { { NULL, 0 }, { NULL, 0 } };
	struct mp_handle *h;
	char text[4];
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_write(h, "a", 1), 0);
	CHECK_IS(mp_write(h, "", 0), 0);
	CHECK_IS(mp_writev(h, empty, 2), 0);
	CHECK_IS(mp_write(h, "b", 1), 0);
	EXPECT(ch, h, MP_WRITE, 1);
	EXPECT(ch, h, MP_WRITE, 0);
	EXPECT(ch, h, MP_WRITE, 0);
	EXPECT(ch, h, MP_WRITE, 1);
	receive_all(pair[1], text, 2);
	CHECK_BYTES(text, "ab", 2);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
