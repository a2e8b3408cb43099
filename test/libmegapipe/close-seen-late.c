/* SPDX-License-Identifier: MIT */
/*
 * A handle is closed while it reads, and the program comes back to the channel
 * long after, for one event at a time: that the read is asked again to end
 * meanwhile harms nothing.
 */
#include <poll.h>

#include "check.h"

#define LATE_MS 50

static void check_close(struct mp_channel *ch)
{
	struct mp_handle *h, *other;
	int pair[2], others[2];
	char byte;

	unix_pair(pair, SOCK_STREAM);
	unix_pair(others, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	other = make_handle(ch, others[0]);
	CHECK_IS(mp_read(h, &byte, 1), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_write(other, "a", 1), 0);
	CHECK_IS(mp_close(h), 0);
	CHECK_IS(mp_flush(ch), 0);
	SYS(poll(NULL, 0, LATE_MS));
	EXPECT(ch, other, MP_WRITE, 1);
	EXPECT(ch, h, MP_READ, -ECANCELED);
	EXPECT(ch, h, MP_CLOSE, 0);
	CHECK_IS(mp_close(other), 0);
	EXPECT(ch, other, MP_CLOSE, 0);
	SYS(close(pair[1]));
	SYS(close(others[1]));
}

void test(void)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .batch = 1 });

	for (int i = 0; i < 5; i++)
		check_close(ch);
	EXPECT_NONE(ch);
	mp_destroy(ch);
}
