/* SPDX-License-Identifier: MIT */
/*
 * A seccomp filter that is installed behind the channel's back refuses its
 * calls: every call returns, and tells; nothing waits for what can't come.
 */
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "refuse.h"

#define MANY 3000

static void refuse_engine(struct mp_channel *ch)
{
	if (!strcmp(mp_engine_name(ch), "uring")) {
		refuse(SYS_io_uring_enter, EPERM);
	} else if (!strcmp(mp_engine_name(ch), "kernel")) {
		refuse(SYS_ioctl, EPERM);
	} else {
		refuse(SYS_epoll_wait, EPERM);
		refuse(SYS_epoll_pwait, EPERM);
		refuse(SYS_epoll_pwait2, EPERM);
	}
}

static struct mp_handle *
accepted_lwsocket(struct mp_channel *ch, struct mp_handle *listener, int client)
{
	struct mp_event ev;

	SYS(send(client, "x", 1, 0));
	ev = NEXT(ch);
	CHECK(ev.handle == listener && ev.cmd == MP_ACCEPT);
	return make_handle(ch, ev.result);
}

/* Engine epoll can write without the calls that are refused. */
static void check_refused(struct mp_channel *ch)
{
	struct mp_event ev;
	int ret;

	do
		ret = mp_dispatch(ch, &ev, -1);
	while (ret == 1 && ev.cmd == MP_WRITE);
	CHECK_IS(ret, -EPERM);
}

/* What was in flight, and more than the engine can collect. */
static void check_requests(struct mp_channel *ch, struct mp_handle *h)
{
	check_refused(ch);
	for (int i = 0; i < MANY; i++)
		mp_write(h, "y", 1);
	check_refused(ch);
	CHECK_IS(mp_wait(ch, 1000), -EPERM);
}

static void check_leaving(struct mp_channel *ch, struct mp_handle *h)
{
	bool waits = strcmp(mp_engine_name(ch), "epoll") != 0;
	int ret = mp_unregister(h);

	CHECK(ret == 0 || (waits && ret == -EPERM));
}

void test(void)
{
	int before = open_fds(), listener = listen_tcp(AF_INET), client,
	    pair[2];
	struct mp_handle *accepting, *lwsocket, *reading, *closing;
	struct mp_channel *ch = make_channel();
	socklen_t len = sizeof(int);
	char bytes[100];
	int value;

	accepting = make_handle(ch, listener);
	CHECK_IS(mp_accept(accepting, MP_ACCEPT_ALL, true), 0);
	client = connect_to(listener);
	lwsocket = accepted_lwsocket(ch, accepting, client);
	tcp_pair(pair);
	reading = make_handle(ch, pair[0]);
	closing = make_handle(ch, SYS(dup(pair[0])));
	CHECK_IS(mp_recv(lwsocket), 0);
	CHECK_IS(mp_read(reading, bytes, sizeof(bytes)), 0);
	CHECK_IS(mp_recv(closing), 0);
	EXPECT(ch, lwsocket, MP_RECV, 1);

	refuse_engine(ch);
	check_requests(ch, lwsocket);
	mp_getsockopt(lwsocket, SOL_SOCKET, SO_TYPE, &value, &len);
	CHECK(mp_flush(ch) <= 0);
	mp_close(closing);
	check_leaving(ch, reading);
	check_leaving(ch, lwsocket);
	mp_destroy(ch);
	SYS(close(listener));
	SYS(close(client));
	SYS(close(pair[0]));
	SYS(close(pair[1]));
	CHECK(open_fds() <= before + 1); /* closing's, which may be open */
}
