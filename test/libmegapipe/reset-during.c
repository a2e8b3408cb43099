/* SPDX-License-Identifier: MIT */
/*
 * A reset during a read, a recv or a large write ends each of them with an end
 * or an error.
 */
#include "check.h"

#define SIZE (8 << 20)

static void close_handle(struct mp_channel *ch, struct mp_handle *h)
{
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
}

static void check_read(struct mp_channel *ch, bool by_recv)
{
	struct mp_handle *h;
	struct mp_event ev;
	char text[8];
	int pair[2];

	tcp_pair(pair);
	h = make_handle(ch, pair[0]);
	CHECK_IS(by_recv ? mp_recv(h) : mp_read(h, text, sizeof(text)), 0);
	EXPECT_NONE(ch);
	reset(pair[1]);
	ev = NEXT(ch);
	CHECK(ev.cmd == (by_recv ? MP_RECV : MP_READ));
	CHECK(ev.result == 0 || ev.result == -ECONNRESET);
	close_handle(ch, h);
}

static void check_write(struct mp_channel *ch, const char *bytes)
{
	bool has_read = false, has_written = false;
	struct mp_handle *h;
	int pair[2];

	tcp_pair(pair);
	small_buffers(pair);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_recv(h), 0);
	CHECK_IS(mp_write(h, bytes, SIZE), 0);
	EXPECT_NONE(ch);
	reset(pair[1]);
	while (!has_read || !has_written) {
		struct mp_event ev = NEXT(ch);

		CHECK(ev.result == -ECONNRESET || ev.result == -EPIPE ||
		      (ev.cmd == MP_RECV && ev.result == 0));
		CHECK(ev.cmd == MP_RECV ? !has_read : !has_written);
		has_read |= ev.cmd == MP_RECV;
		has_written |= ev.cmd == MP_WRITE;
	}
	close_handle(ch, h);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	char *bytes = calloc(1, SIZE);

	for (int i = 0; i < 5; i++) {
		check_read(ch, false);
		check_read(ch, true);
		check_write(ch, bytes);
	}
	EXPECT_NONE(ch);
	CHECK_IS(stats_of(ch).handles, 0);
	CHECK_IS(stats_of(ch).buffers_held, 0);
	mp_destroy(ch);
	free(bytes);
}
