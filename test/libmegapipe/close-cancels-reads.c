/* SPDX-License-Identifier: MIT */
/*
 * Closing ends reads in flight with -ECANCELED and accepting, says MP_CLOSE
 * last, then knows nothing more.
 */
#include "check.h"

static void check_gone(struct mp_handle *h)
{
	char byte;

	CHECK_IS(mp_read(h, &byte, 1), -EBADF);
	CHECK_IS(mp_recv(h), -EBADF);
	CHECK_IS(mp_write(h, &byte, 1), -EBADF);
	CHECK_IS(mp_disconnect(h, SHUT_RDWR), -EBADF);
	CHECK_IS(mp_accept(h, 1, false), -EBADF);
	CHECK_IS(mp_close(h), -EBADF);
}

static void check_reads(struct mp_channel *ch)
{
	char texts[3][8];
	struct mp_handle *h;
	int pair[2];

	tcp_pair(pair);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_read(h, texts[0], 8), 0);
	CHECK_IS(mp_recv(h), 0);
	CHECK_IS(mp_read(h, texts[1], 8), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_close(h), 0);
	check_gone(h);
	EXPECT(ch, h, MP_READ, -ECANCELED);
	EXPECT(ch, h, MP_RECV, -ECANCELED);
	EXPECT(ch, h, MP_READ, -ECANCELED);
	EXPECT(ch, h, MP_CLOSE, 0);
	check_gone(h);
	CHECK(!is_open(pair[0]));
	receive_end(pair[1]);
	SYS(close(pair[1]));
}

static void check_accept(struct mp_channel *ch)
{
	int listener = listen_tcp(AF_INET);
	struct mp_handle *h = make_handle(ch, listener);

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	CHECK(!is_open(listener));
}

void test(void)
{
	struct mp_channel *ch = make_channel();

	check_reads(ch);
	check_accept(ch);
	EXPECT_NONE(ch);
	CHECK_IS(stats_of(ch).handles, 0);
	mp_destroy(ch);
}
