/* SPDX-License-Identifier: MIT */
/*
 * A file is registered once with a channel, but with several channels; after
 * leaving, again.
 */
#include "check.h"

void test(void)
{
	struct mp_channel *a = make_channel(), *b = make_channel();
	struct mp_handle *in_a, *in_b, *again = NULL;
	char text[2];
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	in_a = make_handle(a, pair[0]);
	CHECK_IS(mp_register(a, pair[0], NULL, NULL, &again), -EEXIST);
	CHECK(again == NULL);
	in_b = make_handle(b, pair[0]);
	CHECK_IS(mp_read(in_a, text, 1), 0);
	send_all(pair[1], "1", 1);
	EXPECT(a, in_a, MP_READ, 1);
	CHECK_IS(mp_read(in_b, text, 1), 0);
	send_all(pair[1], "2", 1);
	EXPECT(b, in_b, MP_READ, 1);
	CHECK_IS(mp_unregister(in_a), 0);
	in_a = make_handle(a, pair[0]);
	CHECK_IS(mp_write(in_a, "3", 1), 0);
	EXPECT(a, in_a, MP_WRITE, 1);
	mp_destroy(a);
	CHECK_IS(mp_write(in_b, "4", 1), 0);
	EXPECT(b, in_b, MP_WRITE, 1);
	mp_destroy(b);
	receive_all(pair[1], text, 2);
	CHECK_BYTES(text, "34", 2);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
