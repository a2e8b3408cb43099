/* SPDX-License-Identifier: MIT */
/*
 * mp_read() needs no buffer of the channel: it doesn't wait for one, even if
 * the bytes come while they are all with the caller.
 */
#include "check.h"

static struct mp_event take_buffer(struct mp_channel *ch, int pair[2])
{
	struct mp_handle *h;

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_recv(h), 0);
	EXPECT_NONE(ch);
	send_all(pair[1], "taken", 5);
	return EXPECT(ch, h, MP_RECV, 5);
}

static void give_back(struct mp_channel *ch, struct mp_event *ev, int pair[2])
{
	CHECK_BYTES(ev->recv.data, "taken", 5);
	CHECK_IS(mp_release(ch, ev), 0);
	CHECK_IS(mp_unregister(ev->handle), 0);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

/*
 * The first was ready to receive more when the second took the last buffer. Its
 * bytes have come, and may be on their way through the channel, behind another
 * event, when they are asked for.
 */
static void check_read(struct mp_channel *ch)
{
	int first[2], second[2], third[2];
	struct mp_event one = take_buffer(ch, first);
	struct mp_event other = take_buffer(ch, second);
	struct mp_handle *h;
	char text[8], byte;

	unix_pair(third, SOCK_STREAM);
	h = make_handle(ch, third[0]);
	CHECK_IS(mp_read(h, &byte, 1), 0);
	EXPECT_NONE(ch);
	send_all(third[1], "x", 1);
	send_all(first[1], "hello", 5);
	EXPECT(ch, h, MP_READ, 1);
	CHECK_IS(mp_read(one.handle, text, sizeof(text)), 0);
	EXPECT(ch, one.handle, MP_READ, 5);
	CHECK_BYTES(text, "hello", 5);
	give_back(ch, &one, first);
	give_back(ch, &other, second);
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(third[0]));
	SYS(close(third[1]));
}

void test(void)
{
	static const unsigned int batches[] = { 0, 1 };

	for (int i = 0; i < 2; i++) {
		struct mp_channel *ch = make_channel_with((struct mp_options){
			.buffers = 2, .batch = batches[i] });

		check_read(ch);
		check_read(ch);
		mp_destroy(ch);
	}
}
