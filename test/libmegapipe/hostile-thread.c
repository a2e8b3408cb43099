/* SPDX-License-Identifier: MIT */
/*
 * A thread that doesn't own the channel gets -EPERM from every call, can't
 * adopt one that is used, and harms nothing.
 */
#include <poll.h>
#include <pthread.h>

#include "check.h"

static struct mp_channel *ch;
static struct mp_handle *h;
static int spare;
static struct mp_event held;

static void check_io(void)
{
	static char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct sockaddr_storage addr = { .ss_family = AF_UNIX };

	CHECK_IS(mp_accept(h, 1, false), -EPERM);
	CHECK_IS(mp_connect(h, (struct sockaddr *)&addr, sizeof(addr)), -EPERM);
	CHECK_IS(mp_read(h, &byte, 1), -EPERM);
	CHECK_IS(mp_readv(h, &iov, 1), -EPERM);
	CHECK_IS(mp_pread(h, &byte, 1, 0), -EPERM);
	CHECK_IS(mp_recv(h), -EPERM);
	CHECK_IS(mp_write(h, &byte, 1), -EPERM);
	CHECK_IS(mp_writev(h, &iov, 1), -EPERM);
	CHECK_IS(mp_pwrite(h, &byte, 1, 0), -EPERM);
	CHECK_IS(mp_send(h, &byte, 1, MP_COPY), -EPERM);
	CHECK_IS(mp_sendv(h, &iov, 1, MP_PARTIAL), -EPERM);
	CHECK_IS(mp_recvmsg(h, &msg), -EPERM);
	CHECK_IS(mp_sendmsg(h, &msg), -EPERM);
	CHECK_IS(mp_disconnect(h, SHUT_RDWR), -EPERM);
	CHECK_IS(mp_close(h), -EPERM);
	CHECK_IS(mp_close_within(h, 0), -EPERM);
	CHECK_IS(mp_poll(h, POLLIN), -EPERM);
	CHECK_IS(mp_cancel(h, MP_RECV), -EPERM);
	CHECK_IS(mp_release(ch, &held), -EPERM);
}

static void check_rest(void)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	struct mp_handle *other = NULL;
	cpu_set_t mask = cpu_mask_of(0);
	struct mp_event ev;
	struct mp_stats stats = { .size = sizeof(stats) };
	int value = 0;

	CHECK_IS(mp_adopt(ch), -EBUSY);
	CHECK_IS(mp_dispatch(ch, &ev, 0), -EPERM);
	CHECK_IS(mp_wait(ch, 0), -EPERM);
	CHECK_IS(mp_flush(ch), -EPERM);
	CHECK_IS(mp_pending(ch), -EPERM);
	CHECK_IS(mp_stats(ch, &stats), -EPERM);
	CHECK_IS(mp_register(ch, spare, NULL, NULL, &other), -EPERM);
	CHECK_IS(mp_set_cpu_mask(h, &mask), -EPERM);
	CHECK_IS(mp_unregister(h), -EPERM);
	CHECK_IS(mp_handle_id(h), -EPERM);
	CHECK_IS(mp_lwsocket_to_fd(h), -EPERM);
	CHECK_IS(mp_setsockopt(h, SOL_SOCKET, SO_KEEPALIVE, &value, 4), -EPERM);
	CHECK_IS(mp_getsockopt(h, SOL_SOCKET, SO_TYPE, &value, &len), -EPERM);
	CHECK_IS(mp_getpeername(h, (struct sockaddr *)&addr, &len), -EPERM);
	CHECK_IS(mp_getsockname(h, (struct sockaddr *)&addr, &len), -EPERM);
	CHECK(strcmp(mp_engine_name(ch), engine) == 0);
}

static void *trespass(void *arg)
{
	(void)arg;
	check_io();
	check_rest();
	return NULL;
}

void test(void)
{
	pthread_t thread;
	int pair[2];

	ch = make_channel();
	unix_pair(pair, SOCK_STREAM);
	spare = SYS(dup(pair[0]));
	h = make_handle(ch, pair[0]);
	send_all(pair[1], "hello", 5);
	CHECK_IS(mp_recv(h), 0);
	held = EXPECT(ch, h, MP_RECV, 5);
	CHECK_IS(pthread_create(&thread, NULL, trespass, NULL), 0);
	CHECK_IS(pthread_join(thread, NULL), 0);
	EXPECT_NONE(ch);
	CHECK_IS(stats_of(ch).handles, 1);
	CHECK_IS(mp_release(ch, &held), 0);
	check_stream(ch, spare, pair[1]);
	mp_destroy(ch);
	SYS(close(pair[0]));
}
