/* SPDX-License-Identifier: MIT */
/*
 * mp_cancel() ends what is in flight of one command: each operation has its
 * event, in order, and no byte is lost.
 */
#include <netinet/in.h>
#include <poll.h>

#include "check.h"

static struct mp_channel *ch;

static void end(struct mp_handle *h, int pair[2])
{
	EXPECT_NONE(ch);
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

static void check_recv(bool flush)
{
	struct mp_handle *h;
	struct mp_event ev;
	int pair[2];

	tcp_pair(pair);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_cancel(h, MP_RECV), 0);
	for (int i = 0; i < 3; i++) {
		CHECK_IS(mp_recv(h), 0);
		if (flush)
			EXPECT_NONE(ch);
		CHECK_IS(mp_cancel(h, MP_RECV), 0);
		CHECK_IS(mp_cancel(h, MP_RECV), 0);
		EXPECT(ch, h, MP_RECV, -ECANCELED);
		send_all(pair[1], "hello", 5);
		EXPECT_NONE(ch);
		CHECK_IS(mp_recv(h), 0);
		ev = EXPECT(ch, h, MP_RECV, 5);
		CHECK_BYTES(ev.recv.data, "hello", 5);
		CHECK_IS(mp_release(ch, &ev), 0);
	}
	end(h, pair);
}

/* Those of other commands stay, in order. */
static void check_others_stay(int kind)
{
	struct mp_handle *h;
	struct mp_event ev;
	char one[8], two[8];
	int pair[2];

	unix_pair(pair, kind);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_recv(h), 0);
	CHECK_IS(mp_read(h, one, 3), 0);
	CHECK_IS(mp_recv(h), 0);
	CHECK_IS(mp_read(h, two, 3), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_cancel(h, MP_RECV), 0);
	EXPECT(ch, h, MP_RECV, -ECANCELED);
	EXPECT_NONE(ch);
	send_all(pair[1], "one", 3);
	EXPECT(ch, h, MP_READ, 3);
	EXPECT(ch, h, MP_RECV, -ECANCELED);
	CHECK_BYTES(one, "one", 3);
	EXPECT_NONE(ch);
	CHECK_IS(mp_recv(h), 0);
	CHECK_IS(mp_cancel(h, MP_READ), 0);
	EXPECT(ch, h, MP_READ, -ECANCELED);
	send_all(pair[1], "two", 3);
	ev = EXPECT(ch, h, MP_RECV, 3);
	CHECK_IS(mp_release(ch, &ev), 0);
	end(h, pair);
}

static void check_recvmsg_and_poll(void)
{
	char text[8];
	struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct mp_handle *h;
	int pair[2];

	udp_pair(pair);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_recvmsg(h, &msg), 0);
	CHECK_IS(mp_poll(h, POLLRDHUP), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_cancel(h, MP_RECVMSG), 0);
	EXPECT(ch, h, MP_RECVMSG, -ECANCELED);
	EXPECT_NONE(ch);
	CHECK_IS(mp_cancel(h, MP_POLL), 0);
	EXPECT(ch, h, MP_POLL, -ECANCELED);
	CHECK_IS(mp_poll(h, POLLIN), 0);
	CHECK_IS(mp_cancel(h, MP_POLL), 0);
	CHECK_IS(mp_poll(h, POLLIN), 0);
	EXPECT_NONE(ch);
	send_all(pair[1], "x", 1);
	EXPECT(ch, h, MP_POLL, POLLIN);
	end(h, pair);
}

/* Reads wait for a connect, but their end doesn't. */
static void check_connecting(void)
{
	int listener = listen_tcp(AF_INET);
	struct address a = address_of(listener);
	int fd = SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	struct mp_handle *h = make_handle(ch, fd);
	bool has_connected = false, has_read = false;
	char byte;

	CHECK_IS(mp_connect(h, (struct sockaddr *)&a.storage, a.len), 0);
	CHECK_IS(mp_read(h, &byte, 1), 0);
	CHECK_IS(mp_cancel(h, MP_READ), 0);
	while (!has_connected || !has_read) {
		struct mp_event ev = NEXT(ch);

		CHECK_IS(ev.result, ev.cmd == MP_CONNECT ? 0 : -ECANCELED);
		has_connected |= ev.cmd == MP_CONNECT;
		has_read |= ev.cmd == MP_READ;
	}
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(fd));
	SYS(close(listener));
}

static void check_hostile(void)
{
	struct mp_handle *h;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_cancel(NULL, MP_RECV), -EINVAL);
	CHECK_IS(mp_cancel(h, 0), -EINVAL);
	CHECK_IS(mp_cancel(h, MP_WRITE), -EINVAL);
	CHECK_IS(mp_cancel(h, MP_CLOSE), -EINVAL);
	CHECK_IS(mp_cancel(h, MP_POLL + 1), -EINVAL);
	CHECK_IS(mp_cancel(h, MP_POLL), 0);
	CHECK_IS(mp_cancel(h, MP_READ), 0);
	end(h, pair);
	CHECK_IS(mp_cancel(h, MP_READ), -EBADF);
}

void test(void)
{
	ch = make_channel();
	check_recv(false);
	check_recv(true);
	check_others_stay(SOCK_STREAM);
	check_others_stay(SOCK_DGRAM);
	check_recvmsg_and_poll();
	check_connecting();
	check_hostile();
	mp_destroy(ch);
}
