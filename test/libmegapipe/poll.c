/* SPDX-License-Identifier: MIT */
/*
 * mp_poll() tells once that a file is ready, when it gets so or at once, and
 * leaves reading and writing to others.
 */
#include <poll.h>
#include <sys/eventfd.h>

#include "check.h"

static struct mp_channel *ch;

/* Not ready; then ready; still so at the next mp_poll(); and once a call. */
static void check_readable(int fd, int peer, const void *data, size_t size)
{
	struct mp_handle *h = make_handle(ch, fd);
	char text[8];

	CHECK_IS(mp_poll(h, POLLIN), 0);
	EXPECT_NONE(ch);
	CHECK_IS(write(peer, data, size), size);
	EXPECT(ch, h, MP_POLL, POLLIN);
	EXPECT_NONE(ch);
	CHECK_IS(mp_poll(h, POLLIN | POLLRDHUP), 0);
	EXPECT(ch, h, MP_POLL, POLLIN);
	SYS(read(fd, text, sizeof(text)));
	CHECK_IS(mp_poll(h, POLLIN), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_unregister(h), 0);
	CHECK_IS(write(peer, data, size), size);
	EXPECT_NONE(ch);
	CHECK(is_open(fd));
}

static void check_pair(int pair[2])
{
	check_readable(pair[0], pair[1], "hello", 5);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

static void check_hang_up(void)
{
	struct mp_handle *h;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_poll(h, POLLIN), 0);
	EXPECT_NONE(ch);
	SYS(close(pair[1]));
	EXPECT(ch, h, MP_POLL, POLLIN | POLLHUP);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
}

/* What wasn't asked for doesn't count. */
static void check_half_close(void)
{
	struct mp_handle *h;
	int pair[2];

	tcp_pair(pair);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_poll(h, POLLRDHUP), 0);
	send_all(pair[1], "x", 1);
	EXPECT_NONE(ch);
	SYS(shutdown(pair[1], SHUT_WR));
	EXPECT(ch, h, MP_POLL, POLLRDHUP);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	SYS(close(pair[1]));
}

static void check_writable(void)
{
	static char much[1 << 16];
	struct mp_handle *h;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_poll(h, POLLOUT), 0);
	EXPECT(ch, h, MP_POLL, POLLOUT);
	while (send(pair[0], much, sizeof(much), MSG_DONTWAIT) > 0)
		;
	CHECK_IS(mp_poll(h, POLLIN | POLLOUT), 0);
	EXPECT_NONE(ch);
	while (recv(pair[1], much, sizeof(much), MSG_DONTWAIT) > 0)
		;
	EXPECT(ch, h, MP_POLL, POLLOUT);
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

/* It is in no lane: neither a read nor a write in flight holds it up. */
static void check_beside_others(void)
{
	static char much[1 << 22];
	struct mp_handle *h;
	char byte;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_read(h, &byte, 1), 0);
	CHECK_IS(mp_poll(h, POLLOUT), 0);
	EXPECT(ch, h, MP_POLL, POLLOUT);
	send_all(pair[1], "x", 1);
	EXPECT(ch, h, MP_READ, 1);
	CHECK_IS(mp_write(h, much, sizeof(much)), 0);
	CHECK_IS(mp_poll(h, POLLIN), 0);
	EXPECT_NONE(ch);
	send_all(pair[1], "x", 1);
	EXPECT(ch, h, MP_POLL, POLLIN);
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

void test(void)
{
	uint64_t one = 1;
	int pair[2], event;

	ch = make_channel();
	SYS(pipe(pair));
	check_pair(pair);
	unix_pair(pair, SOCK_STREAM);
	check_pair(pair);
	unix_pair(pair, SOCK_DGRAM);
	check_pair(pair);
	udp_pair(pair);
	check_pair(pair);
	tcp_pair(pair);
	check_pair(pair);
	event = SYS(eventfd(0, 0));
	check_readable(event, event, &one, sizeof(one));
	SYS(close(event));
	check_hang_up();
	check_half_close();
	check_writable();
	check_beside_others();
	mp_destroy(ch);
}
