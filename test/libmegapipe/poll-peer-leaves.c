/* SPDX-License-Identifier: MIT */
/*
 * mp_poll() for POLLRDHUP beside mp_recv(): a peer that leaves is seen while
 * nothing is received, even behind bytes that nobody has asked for; who goes on
 * receiving has all of these.
 */
#include <poll.h>

#include "check.h"

#define LATER (256 * 1024)

static struct mp_channel *ch;

static void receive(struct mp_handle *h, size_t size, uint64_t place)
{
	while (size) {
		struct mp_event ev;

		CHECK_IS(mp_recv(h), 0);
		ev = NEXT(ch);
		CHECK_IS(ev.cmd, MP_RECV);
		CHECK(ev.result > 0 && ev.result <= (ssize_t)size);
		check_filled(ev.recv.data, ev.result, place);
		place += ev.result;
		size -= ev.result;
		CHECK_IS(mp_release(ch, &ev), 0);
	}
}

/* It has received, asks for no more, and watches. */
static struct mp_handle *serve_one(int fd, int peer)
{
	struct mp_handle *h = make_handle(ch, fd);
	struct mp_event ev;

	CHECK_IS(mp_recv(h), 0);
	send_all(peer, "hello", 5);
	ev = EXPECT(ch, h, MP_RECV, 5);
	CHECK_IS(mp_release(ch, &ev), 0);
	CHECK_IS(mp_poll(h, POLLRDHUP), 0);
	EXPECT_NONE(ch);
	return h;
}

static void check_fin(int pair[2], size_t unread)
{
	struct mp_handle *h = serve_one(pair[0], pair[1]);
	static char bytes[LATER];
	struct mp_event ev;

	fill(bytes, unread, 0);
	send_all(pair[1], bytes, unread);
	EXPECT_NONE(ch);
	SYS(shutdown(pair[1], SHUT_WR));
	ev = NEXT(ch);
	CHECK_IS(ev.cmd, MP_POLL);
	CHECK(ev.result & POLLRDHUP);
	receive(h, unread, 0);
	CHECK_IS(mp_recv(h), 0);
	EXPECT(ch, h, MP_RECV, 0);
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

static void check_reset(size_t unread)
{
	static char bytes[LATER];
	struct mp_handle *h;
	struct mp_event ev;
	int pair[2];

	tcp_pair(pair);
	h = serve_one(pair[0], pair[1]);
	fill(bytes, unread, 0);
	send_all(pair[1], bytes, unread);
	EXPECT_NONE(ch);
	reset(pair[1]);
	ev = NEXT(ch);
	CHECK_IS(ev.cmd, MP_POLL);
	CHECK(ev.result & (POLLHUP | POLLERR));
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
}

/* A receive is in flight, too: both tell. */
static void check_both(void)
{
	struct mp_handle *h;
	bool has_polled = false, has_ended = false;
	int pair[2];

	tcp_pair(pair);
	h = serve_one(pair[0], pair[1]);
	CHECK_IS(mp_recv(h), 0);
	EXPECT_NONE(ch);
	SYS(shutdown(pair[1], SHUT_WR));
	while (!has_polled || !has_ended) {
		struct mp_event ev = NEXT(ch);

		if (ev.cmd == MP_POLL) {
			CHECK_IS(ev.result, POLLRDHUP);
			has_polled = true;
		} else {
			CHECK_IS(ev.cmd, MP_RECV);
			CHECK_IS(ev.result, 0);
			has_ended = true;
		}
	}
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

static void check_lwsocket(void)
{
	int listener = listen_tcp(AF_INET), client;
	struct mp_handle *l = make_handle(ch, listener), *h;
	struct mp_event ev;

	CHECK_IS(mp_accept(l, 1, true), 0);
	client = connect_to(listener);
	ev = NEXT(ch);
	CHECK_IS(ev.cmd, MP_ACCEPT);
	h = serve_one(ev.result, client);
	send_all(client, "unread", 6);
	reset(client);
	ev = NEXT(ch);
	CHECK_IS(ev.cmd, MP_POLL);
	CHECK(ev.result & (POLLHUP | POLLERR));
	CHECK_IS(mp_unregister(h), 0);
	CHECK_IS(mp_unregister(l), 0);
	SYS(close(listener));
}

void test(void)
{
	static const size_t unread[] = { 0, 1, 5000 };
	int pair[2];

	ch = make_channel();
	for (int i = 0; i < 3; i++) {
		tcp_pair(pair);
		check_fin(pair, unread[i]);
		unix_pair(pair, SOCK_STREAM);
		check_fin(pair, unread[i]);
		check_reset(unread[i]);
	}
	tcp_pair(pair);
	check_fin(pair, LATER / 4);
	check_both();
	check_lwsocket();
	mp_destroy(ch);
}
