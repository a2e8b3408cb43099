/* SPDX-License-Identifier: MIT */
/*
 * mp_recvmsg() and mp_sendmsg() carry addresses of datagrams, truncation, and
 * descriptors.
 */
#include <netinet/in.h>

#include "check.h"

static int bound_udp(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = SYS(socket(AF_INET, SOCK_DGRAM, 0));

	SYS(bind(fd, (struct sockaddr *)&any, sizeof(any)));
	return fd;
}

static void check_addresses(struct mp_channel *ch)
{
	int fd = bound_udp(), client = bound_udp();
	struct address server = address_of(fd), own = address_of(client);
	struct sockaddr_in from;
	char text[4];
	struct iovec iov = { text, sizeof(text) };
	struct msghdr msg = { .msg_name = &from,
			      .msg_iov = &iov,
			      .msg_iovlen = 1 };
	struct mp_handle *h = make_handle(ch, fd);

	msg.msg_namelen = sizeof(from);
	CHECK_IS(mp_recvmsg(h, &msg), 0);
	EXPECT_NONE(ch);
	SYS(connect(client, (struct sockaddr *)&server.storage, server.len));
	send_all(client, "hello", 5);
	EXPECT(ch, h, MP_RECVMSG, sizeof(text));
	CHECK(msg.msg_flags & MSG_TRUNC);
	CHECK_IS(msg.msg_namelen, sizeof(from));
	CHECK_BYTES(&from, &own.storage, sizeof(from));
	CHECK_IS(mp_sendmsg(h, &msg), 0);
	EXPECT(ch, h, MP_SENDMSG, sizeof(text));
	receive_all(client, text, sizeof(text));
	CHECK_BYTES(text, "hell", 4);
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(fd));
	SYS(close(client));
}

static void check_descriptor(struct mp_channel *ch)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	char byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control };
	struct cmsghdr *cmsg = &control.align;
	struct mp_handle *ours[2];
	int pair[2], ends[2], got;

	unix_pair(pair, SOCK_STREAM);
	SYS(pipe(ends));
	ours[0] = make_handle(ch, pair[0]);
	ours[1] = make_handle(ch, pair[1]);
	msg.msg_controllen = sizeof(control);
	*cmsg = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET,
				  SCM_RIGHTS };
	memcpy(CMSG_DATA(cmsg), &ends[1], sizeof(int));
	CHECK_IS(mp_sendmsg(ours[0], &msg), 0);
	EXPECT(ch, ours[0], MP_SENDMSG, 1);
	memset(&control, 0, sizeof(control));
	CHECK_IS(mp_recvmsg(ours[1], &msg), 0);
	EXPECT(ch, ours[1], MP_RECVMSG, 1);
	memcpy(&got, CMSG_DATA(cmsg), sizeof(int));
	send_all(got, "p", 1);
	receive_all(ends[0], &byte, 1);
	SYS(close(got));
	SYS(close(ends[0]));
	SYS(close(ends[1]));
	for (int i = 0; i < 2; i++) {
		CHECK_IS(mp_close(ours[i]), 0);
		EXPECT(ch, ours[i], MP_CLOSE, 0);
	}
}

void test(void)
{
	struct mp_channel *ch = make_channel();

	check_addresses(ch);
	check_descriptor(ch);
	mp_destroy(ch);
}
