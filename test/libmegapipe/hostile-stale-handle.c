/* SPDX-License-Identifier: MIT */
/* A handle that has left its channel is -EBADF for every call. */
#include <poll.h>

#include "check.h"

static void check_stale(struct mp_handle *h)
{
	static struct sockaddr_storage addr = { .ss_family = AF_UNIX };
	struct iovec iov = { &addr, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	socklen_t len = sizeof(addr);
	cpu_set_t mask = cpu_mask_of(0);
	int value = 0;

	CHECK_IS(mp_unregister(h), -EBADF);
	CHECK_IS(mp_handle_id(h), -EBADF);
	CHECK_IS(mp_accept(h, 1, false), -EBADF);
	CHECK_IS(mp_connect(h, (struct sockaddr *)&addr, len), -EBADF);
	CHECK_IS(mp_read(h, &addr, 1), -EBADF);
	CHECK_IS(mp_readv(h, &iov, 1), -EBADF);
	CHECK_IS(mp_pread(h, &addr, 1, 0), -EBADF);
	CHECK_IS(mp_recv(h), -EBADF);
	CHECK_IS(mp_write(h, &addr, 1), -EBADF);
	CHECK_IS(mp_writev(h, &iov, 1), -EBADF);
	CHECK_IS(mp_pwrite(h, &addr, 1, 0), -EBADF);
	CHECK_IS(mp_send(h, &addr, 1, MP_COPY), -EBADF);
	CHECK_IS(mp_sendv(h, &iov, 1, MP_PARTIAL), -EBADF);
	CHECK_IS(mp_recvmsg(h, &msg), -EBADF);
	CHECK_IS(mp_sendmsg(h, &msg), -EBADF);
	CHECK_IS(mp_disconnect(h, SHUT_RDWR), -EBADF);
	CHECK_IS(mp_close(h), -EBADF);
	CHECK_IS(mp_close_within(h, 0), -EBADF);
	CHECK_IS(mp_poll(h, POLLIN), -EBADF);
	CHECK_IS(mp_cancel(h, MP_RECV), -EBADF);
	CHECK_IS(mp_set_cpu_mask(h, &mask), -EBADF);
	CHECK_IS(mp_lwsocket_to_fd(h), -EBADF);
	CHECK_IS(mp_setsockopt(h, SOL_SOCKET, SO_KEEPALIVE, &value, 4), -EBADF);
	CHECK_IS(mp_getsockopt(h, SOL_SOCKET, SO_TYPE, &value, &len), -EBADF);
	CHECK_IS(mp_getpeername(h, (struct sockaddr *)&addr, &len), -EBADF);
	CHECK_IS(mp_getsockname(h, (struct sockaddr *)&addr, &len), -EBADF);
}

static void check_lwsocket(struct mp_channel *ch)
{
	int listener = listen_tcp(AF_INET), client = connect_to(listener);
	struct mp_handle *conn, *h = make_handle(ch, listener);

	CHECK_IS(mp_accept(h, 1, true), 0);
	conn = make_handle(ch, NEXT(ch).result);
	CHECK_IS(mp_unregister(h), 0);
	check_stale(h);
	CHECK_IS(mp_unregister(conn), 0);
	check_stale(conn);
	SYS(close(client));
	SYS(close(listener));
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_unregister(h), 0);
	check_stale(h);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	check_stale(h);
	check_lwsocket(ch);
	CHECK_IS(stats_of(ch).handles, 0);
	mp_destroy(ch);
	SYS(close(pair[1]));
}
