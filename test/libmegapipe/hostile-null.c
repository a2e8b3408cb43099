/* SPDX-License-Identifier: MIT */
/*
 * NULL, and sizes and counts out of their range, are -EINVAL, and change
 * nothing.
 */
#include <limits.h>
#include <poll.h>

#include "check.h"

static struct mp_channel *ch;

static void check_channel_calls(int fd)
{
	struct mp_stats stats = { .size = sizeof(stats) };
	struct mp_event ev = { .cmd = MP_RECV };
	struct mp_handle *h;

	mp_destroy(NULL);
	CHECK_IS(mp_dispatch(NULL, &ev, 0), -EINVAL);
	CHECK_IS(mp_dispatch(ch, NULL, 0), -EINVAL);
	CHECK_IS(mp_dispatch(ch, &ev, -2), -EINVAL);
	CHECK_IS(mp_dispatch(ch, &ev, INT64_MIN), -EINVAL);
	CHECK_IS(mp_flush(NULL), -EINVAL);
	CHECK_IS(mp_pending(NULL), -EINVAL);
	CHECK_IS(mp_stats(NULL, &stats), -EINVAL);
	CHECK_IS(mp_stats(ch, NULL), -EINVAL);
	CHECK_IS(mp_release(NULL, &ev), -EINVAL);
	CHECK_IS(mp_release(ch, NULL), -EINVAL);
	CHECK_IS(mp_register(NULL, fd, NULL, NULL, &h), -EINVAL);
	CHECK_IS(mp_register(ch, fd, NULL, NULL, NULL), -EINVAL);
	CHECK(mp_engine_name(NULL) == NULL);
}

static void check_no_handle(void)
{
	static struct sockaddr_storage addr;
	struct iovec iov = { &addr, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	socklen_t len = sizeof(addr);
	cpu_set_t mask = cpu_mask_of(0);
	int value = 0;

	CHECK_IS(mp_unregister(NULL), -EINVAL);
	CHECK_IS(mp_handle_id(NULL), -EINVAL);
	CHECK_IS(mp_accept(NULL, 1, false), -EINVAL);
	CHECK_IS(mp_connect(NULL, (struct sockaddr *)&addr, len), -EINVAL);
	CHECK_IS(mp_read(NULL, &addr, 1), -EINVAL);
	CHECK_IS(mp_readv(NULL, &iov, 1), -EINVAL);
	CHECK_IS(mp_pread(NULL, &addr, 1, 0), -EINVAL);
	CHECK_IS(mp_recv(NULL), -EINVAL);
	CHECK_IS(mp_write(NULL, &addr, 1), -EINVAL);
	CHECK_IS(mp_writev(NULL, &iov, 1), -EINVAL);
	CHECK_IS(mp_pwrite(NULL, &addr, 1, 0), -EINVAL);
	CHECK_IS(mp_send(NULL, &addr, 1, 0), -EINVAL);
	CHECK_IS(mp_sendv(NULL, &iov, 1, 0), -EINVAL);
	CHECK_IS(mp_recvmsg(NULL, &msg), -EINVAL);
	CHECK_IS(mp_sendmsg(NULL, &msg), -EINVAL);
	CHECK_IS(mp_disconnect(NULL, SHUT_RDWR), -EINVAL);
	CHECK_IS(mp_close(NULL), -EINVAL);
	CHECK_IS(mp_poll(NULL, POLLIN), -EINVAL);
	CHECK_IS(mp_set_cpu_mask(NULL, &mask), -EINVAL);
	CHECK_IS(mp_lwsocket_to_fd(NULL), -EINVAL);
	CHECK_IS(mp_setsockopt(NULL, SOL_SOCKET, SO_KEEPALIVE, &value, 4),
		 -EINVAL);
	CHECK_IS(mp_getsockopt(NULL, SOL_SOCKET, SO_KEEPALIVE, &value, &len),
		 -EINVAL);
	CHECK_IS(mp_getpeername(NULL, (struct sockaddr *)&addr, &len), -EINVAL);
	CHECK_IS(mp_getsockname(NULL, (struct sockaddr *)&addr, &len), -EINVAL);
}

static void check_vectors(struct mp_handle *h)
{
	char byte;
	struct iovec one = { &byte, 1 }, nowhere = { NULL, 1 },
		     vast[2] = { { &byte, SSIZE_MAX }, { &byte, SSIZE_MAX } };

	CHECK_IS(mp_read(h, NULL, 1), -EINVAL);
	CHECK_IS(mp_write(h, NULL, 1), -EINVAL);
	CHECK_IS(mp_read(h, &byte, SIZE_MAX), -EINVAL);
	CHECK_IS(mp_write(h, &byte, SIZE_MAX), -EINVAL);
	CHECK_IS(mp_readv(h, NULL, 1), -EINVAL);
	CHECK_IS(mp_writev(h, NULL, 1), -EINVAL);
	CHECK_IS(mp_readv(h, &one, 0), -EINVAL);
	CHECK_IS(mp_writev(h, &one, 0), -EINVAL);
	CHECK_IS(mp_readv(h, &one, -1), -EINVAL);
	CHECK_IS(mp_writev(h, &one, INT_MIN), -EINVAL);
	CHECK_IS(mp_writev(h, &one, INT_MAX), -EINVAL);
	CHECK_IS(mp_readv(h, &nowhere, 1), -EINVAL);
	CHECK_IS(mp_writev(h, &nowhere, 1), -EINVAL);
	CHECK_IS(mp_readv(h, vast, 2), -EINVAL);
	CHECK_IS(mp_writev(h, vast, 2), -EINVAL);
}

static void check_messages(struct mp_handle *h)
{
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr none = { .msg_iovlen = 1 }, many = { .msg_iov = &iov };
	struct sockaddr_storage addr = { .ss_family = AF_UNIX };

	many.msg_iovlen = SIZE_MAX;
	CHECK_IS(mp_recvmsg(h, NULL), -EINVAL);
	CHECK_IS(mp_sendmsg(h, NULL), -EINVAL);
	CHECK_IS(mp_recvmsg(h, &none), -EINVAL);
	CHECK_IS(mp_sendmsg(h, &none), -EINVAL);
	CHECK_IS(mp_recvmsg(h, &many), -EINVAL);
	CHECK_IS(mp_sendmsg(h, &many), -EINVAL);
	CHECK_IS(mp_connect(h, NULL, sizeof(addr)), -EINVAL);
	CHECK_IS(mp_connect(h, (struct sockaddr *)&addr, 0), -EINVAL);
	CHECK_IS(mp_connect(h, (struct sockaddr *)&addr, 1), -EINVAL);
	CHECK_IS(mp_connect(h, (struct sockaddr *)&addr, sizeof(addr) + 1),
		 -EINVAL);
	CHECK_IS(mp_disconnect(h, 3), -EINVAL);
	CHECK_IS(mp_disconnect(h, -1), -EINVAL);
}

void test(void)
{
	struct mp_stats before, after;
	struct mp_handle *h;
	char text[2];
	int pair[2];

	ch = make_channel();
	unix_pair(pair, SOCK_STREAM);
	check_no_handle();
	check_channel_calls(pair[0]);
	h = make_handle(ch, pair[0]);
	before = stats_of(ch);
	check_vectors(h);
	check_messages(h);
	after = stats_of(ch);
	CHECK_IS(after.requests, before.requests);
	CHECK_IS(mp_write(h, "ok", 2), 0);
	EXPECT(ch, h, MP_WRITE, 2);
	EXPECT_NONE(ch);
	receive_all(pair[1], text, 2);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
