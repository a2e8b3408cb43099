/* SPDX-License-Identifier: MIT */
/*
 * Somebody closes an fd before its handle leaves, and the open file lives on as
 * a duplicate: what happens to that is nothing to those who come after.
 */
#include <poll.h>

#include "check.h"

static struct mp_channel *ch;

static void check_stream_socket(void)
{
	struct mp_handle *h;
	int pair[2], other, fd;

	tcp_pair(pair);
	fd = pair[0];
	h = make_handle(ch, fd);
	CHECK_IS(mp_recv(h), 0);
	EXPECT_NONE(ch);
	other = SYS(dup(fd));
	SYS(close(fd));
	CHECK_IS(mp_unregister(h), 0);
	send_all(pair[1], "x", 1);
	EXPECT_NONE(ch);
	/* the same open file by the same number again */
	CHECK_IS(SYS(dup2(other, fd)), fd);
	h = make_handle(ch, fd);
	CHECK_IS(mp_poll(h, POLLRDHUP), 0);
	EXPECT_NONE(ch);
	SYS(shutdown(pair[1], SHUT_WR));
	CHECK(NEXT(ch).result & POLLRDHUP);
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(fd));
	SYS(close(other));
	SYS(close(pair[1]));
}

static void check_listener(void)
{
	int fd = listen_tcp(AF_INET), other, client;
	struct mp_handle *h = make_handle(ch, fd);

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	EXPECT_NONE(ch);
	other = SYS(dup(fd));
	SYS(close(fd));
	CHECK_IS(mp_unregister(h), 0);
	client = connect_to(other);
	EXPECT_NONE(ch);
	SYS(close(client));
	SYS(close(other));
}

void test(void)
{
	ch = make_channel();
	for (int i = 0; i < 3; i++) {
		check_stream_socket();
		check_listener();
	}
	mp_destroy(ch);
}
