/* SPDX-License-Identifier: MIT */
/*
 * Reads queued on one handle are filled one after the other, in the order
 * asked for.
 */
#include "check.h"

#define READS 40
#define SIZE 10

static void check_order(struct mp_channel *ch, bool data_first)
{
	char bytes[READS * SIZE], sent[READS * SIZE];
	struct mp_handle *h;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	fill(sent, sizeof(sent), 0);
	if (data_first)
		send_all(pair[1], sent, sizeof(sent));
	for (int i = 0; i < READS; i++)
		CHECK_IS(mp_read(h, bytes + i * SIZE, SIZE), 0);
	if (!data_first) {
		EXPECT_NONE(ch);
		send_all(pair[1], sent, sizeof(sent));
	}
	for (int i = 0; i < READS; i++) {
		EXPECT(ch, h, MP_READ, SIZE);
		check_filled(bytes, (i + 1) * SIZE, 0);
	}
	EXPECT_NONE(ch);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	SYS(close(pair[1]));
}

void test(void)
{
	struct mp_channel *ch = make_channel();

	check_order(ch, true);
	check_order(ch, false);
	mp_destroy(ch);
}
