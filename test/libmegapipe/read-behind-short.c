/* SPDX-License-Identifier: MIT */
/*
 * A read that ends before what has arrived does (at descriptors of a UNIX
 * socket, at urgent data of TCP): the rest comes without another arrival.
 */
#include "check.h"

static struct mp_channel *ch;

static void send_with_fd(int fd, char byte)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS,
				  .cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	int zero = 0;

	memcpy(CMSG_DATA(&control.header), &zero, sizeof(zero));
	CHECK_IS(sendmsg(fd, &msg, 0), 1);
}

static void take_all(struct mp_handle *h, const char *want, bool by_recv)
{
	char text[16];
	size_t at = 0;

	for (;;) {
		struct mp_event ev = NEXT(ch);

		CHECK(ev.handle == h && ev.result > 0);
		CHECK(at + ev.result <= strlen(want));
		CHECK_BYTES(by_recv ? ev.recv.data : text, want + at,
			    ev.result);
		at += ev.result;
		if (by_recv)
			CHECK_IS(mp_release(ch, &ev), 0);
		if (at == strlen(want))
			return;
		CHECK_IS(by_recv ? mp_recv(h) : mp_read(h, text, sizeof(text)),
			 0);
	}
}

static void check_unix(bool by_recv)
{
	struct mp_handle *h;
	char text[16];
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(by_recv ? mp_recv(h) : mp_read(h, text, 1), 0);
	EXPECT_NONE(ch);
	send_with_fd(pair[1], 'A');
	send_with_fd(pair[1], 'B');
	send_with_fd(pair[1], 'C');
	if (by_recv) {
		take_all(h, "ABC", true);
	} else {
		EXPECT(ch, h, MP_READ, 1);
		CHECK_IS(mp_read(h, text, sizeof(text)), 0);
		EXPECT(ch, h, MP_READ, 1);
		CHECK_IS(mp_read(h, text, sizeof(text)), 0);
		EXPECT(ch, h, MP_READ, 1);
		CHECK_IS(text[0], 'C');
	}
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

static void check_urgent(void)
{
	struct mp_handle *h;
	int pair[2];

	tcp_pair(pair);
	h = make_handle(ch, pair[0]);
	for (int i = 0; i < 3; i++) {
		CHECK_IS(mp_recv(h), 0);
		EXPECT_NONE(ch);
		send_all(pair[1], "abc", 3);
		CHECK_IS(send(pair[1], "X", 1, MSG_OOB), 1);
		send_all(pair[1], "def", 3);
		/* all of it has arrived before the first look */
		usleep(QUIET_US);
		take_all(h, "abcdef", true);
	}
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

void test(void)
{
	ch = make_channel();
	check_unix(true);
	check_unix(false);
	check_urgent();
	mp_destroy(ch);
}
