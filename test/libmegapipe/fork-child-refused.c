/* SPDX-License-Identifier: MIT */
/*
 * A child owns none of the channels: each call is -EPERM there, nothing
 * reaches the peers, and mp_destroy() does nothing. Channels of its own work.
 */
#include <poll.h>
#include <pthread.h>

#include "check.h"

static struct mp_channel *ch;
static struct mp_handle *h, *conn;
static struct mp_event held;

static void check_io(void)
{
	char text[8] = "child";
	struct iovec iov = { text, 5 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	CHECK_IS(mp_accept(h, 1, false), -EPERM);
	CHECK_IS(mp_write(h, text, 5), -EPERM);
	CHECK_IS(mp_write(conn, text, 5), -EPERM);
	CHECK_IS(mp_send(conn, text, 5, MP_COPY), -EPERM);
	CHECK_IS(mp_sendv(conn, &iov, 1, MP_PARTIAL), -EPERM);
	CHECK_IS(mp_sendmsg(conn, &msg), -EPERM);
	CHECK_IS(mp_recvmsg(conn, &msg), -EPERM);
	CHECK_IS(mp_read(h, text, sizeof(text)), -EPERM);
	CHECK_IS(mp_recv(conn), -EPERM);
	CHECK_IS(mp_poll(h, POLLIN), -EPERM);
	CHECK_IS(mp_cancel(h, MP_RECV), -EPERM);
	CHECK_IS(mp_disconnect(conn, SHUT_RDWR), -EPERM);
	CHECK_IS(mp_close(conn), -EPERM);
	CHECK_IS(mp_close_within(conn, 0), -EPERM);
	CHECK_IS(mp_release(ch, &held), -EPERM);
}

static void check_socket_calls(void)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	int value = 0;

	CHECK_IS(mp_setsockopt(conn, SOL_SOCKET, SO_KEEPALIVE, &value, 4),
		 -EPERM);
	CHECK_IS(mp_getsockopt(conn, SOL_SOCKET, SO_TYPE, &value, &len),
		 -EPERM);
	CHECK_IS(mp_getpeername(conn, (struct sockaddr *)&addr, &len), -EPERM);
	CHECK_IS(mp_getsockname(conn, (struct sockaddr *)&addr, &len), -EPERM);
}

static void check_calls(void)
{
	struct mp_stats stats = { .size = sizeof(stats) };
	struct mp_handle *other = NULL;
	cpu_set_t mask = cpu_mask_of(0);
	struct mp_event ev;

	check_io();
	check_socket_calls();
	CHECK_IS(mp_unregister(h), -EPERM);
	CHECK_IS(mp_lwsocket_to_fd(conn), -EPERM);
	CHECK_IS(mp_handle_id(conn), -EPERM);
	CHECK_IS(mp_register(ch, 0, NULL, NULL, &other), -EPERM);
	CHECK_IS(mp_set_cpu_mask(h, &mask), -EPERM);
	CHECK_IS(mp_adopt(ch), -EPERM);
	CHECK_IS(mp_flush(ch), -EPERM);
	CHECK_IS(mp_pending(ch), -EPERM);
	CHECK_IS(mp_dispatch(ch, &ev, -1), -EPERM);
	CHECK_IS(mp_wait(ch, -1), -EPERM);
	CHECK_IS(mp_stats(ch, &stats), -EPERM);
	CHECK(strcmp(mp_engine_name(ch), engine) == 0);
	mp_destroy(ch);
}

static void check_own_channel(void)
{
	struct mp_channel *own = make_channel();
	int pair[2];

	CHECK_IS(mp_pending(ch), -EPERM);
	tcp_pair(pair);
	check_stream(own, pair[0], pair[1]);
	mp_destroy(own);
}

static void *refuse(void *arg)
{
	pid_t child = SYS(fork());

	(void)arg;
	if (child == 0) {
		check_calls();
		check_own_channel();
		check_calls();
		_exit(0);
	}
	child_passes(child);
	return NULL;
}

void test(void)
{
	int pair[2], listener = listen_tcp(AF_INET), client;
	struct mp_handle *accepting;
	pthread_t thread;

	ch = make_channel();
	tcp_pair(pair);
	h = make_handle(ch, pair[0]);
	accepting = make_handle(ch, listener);
	CHECK_IS(mp_accept(accepting, MP_ACCEPT_ALL, true), 0);
	client = connect_to(listener);
	conn = make_handle(ch, NEXT(ch).result);
	CHECK_IS(mp_recv(conn), 0);
	send_all(client, "hello", 5);
	held = EXPECT(ch, conn, MP_RECV, 5);
	/* collected, and ours to send */
	CHECK_IS(mp_write(h, "parent", 6), 0);

	refuse(NULL);
	CHECK_IS(pthread_create(&thread, NULL, refuse, NULL), 0);
	CHECK_IS(pthread_join(thread, NULL), 0);

	CHECK(!readable(client, QUIET_US / 1000));
	CHECK_BYTES(held.recv.data, "hello", 5);
	CHECK_IS(mp_release(ch, &held), 0);
	EXPECT(ch, h, MP_WRITE, 6);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	{
		char text[6];

		receive_all(pair[1], text, 6);
		CHECK_BYTES(text, "parent", 6);
		receive_end(pair[1]);
	}
	mp_destroy(ch);
	receive_end(client);
	SYS(close(listener));
	SYS(close(client));
	SYS(close(pair[1]));
}
