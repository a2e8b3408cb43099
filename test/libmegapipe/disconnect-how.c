/* SPDX-License-Identifier: MIT */
/* Each way of disconnecting shuts its side and leaves the handle. */
#include "check.h"

static struct mp_handle *disconnected(struct mp_channel *ch, int pair[2],
				      int how)
{
	struct mp_handle *h;

	tcp_pair(pair);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_disconnect(h, how), 0);
	EXPECT(ch, h, MP_DISCONNECT, 0);
	return h;
}

static void close_both(struct mp_channel *ch, struct mp_handle *h, int pair[2])
{
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	SYS(close(pair[1]));
}

static void check_write_side(struct mp_channel *ch)
{
	int pair[2];
	struct mp_handle *h = disconnected(ch, pair, SHUT_WR);
	char text[8];

	receive_end(pair[1]);
	send_all(pair[1], "more", 4);
	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	EXPECT(ch, h, MP_READ, 4);
	CHECK_IS(mp_write(h, "x", 1), 0);
	EXPECT(ch, h, MP_WRITE, -EPIPE);
	close_both(ch, h, pair);
}

static void check_read_side(struct mp_channel *ch)
{
	int pair[2];
	struct mp_handle *h = disconnected(ch, pair, SHUT_RD);
	char text[8];

	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	EXPECT(ch, h, MP_READ, 0);
	CHECK_IS(mp_write(h, "to you", 6), 0);
	EXPECT(ch, h, MP_WRITE, 6);
	receive_all(pair[1], text, 6);
	close_both(ch, h, pair);
}

static void check_waiting_read(struct mp_channel *ch)
{
	struct mp_handle *h;
	char text[8];
	int pair[2];

	tcp_pair(pair);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_disconnect(h, SHUT_RDWR), 0);
	for (int i = 0; i < 2; i++)
		CHECK_IS(NEXT(ch).result, 0);
	receive_end(pair[1]);
	close_both(ch, h, pair);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int ends[2];
	struct mp_handle *h;

	check_write_side(ch);
	check_read_side(ch);
	check_waiting_read(ch);
	SYS(pipe(ends));
	h = make_handle(ch, ends[1]);
	CHECK_IS(mp_disconnect(h, 7), -EINVAL);
	CHECK_IS(mp_disconnect(h, -1), -EINVAL);
	EXPECT_NONE(ch);
	mp_destroy(ch);
	SYS(close(ends[0]));
	SYS(close(ends[1]));
}
