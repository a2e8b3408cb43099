/* SPDX-License-Identifier: MIT */
/*
 * mp_lwsocket_to_fd() turns an idle lwsocket into an fd, and refuses a busy
 * one.
 */
#include "check.h"

static int client; /* of the lwsocket accepted last */

static struct mp_handle *accept_lwsocket(struct mp_channel *ch, int listener)
{
	client = connect_to(listener);
	return make_handle(ch, NEXT(ch).result);
}

static void check_idle(struct mp_channel *ch, int listener)
{
	struct mp_handle *h = accept_lwsocket(ch, listener);
	char text[8];
	int fd;

	CHECK_IS(mp_write(h, "before", 6), 0);
	EXPECT(ch, h, MP_WRITE, 6);
	fd = mp_lwsocket_to_fd(h);
	CHECK(fd >= 0 && fd < MP_LWSOCKET_BASE && is_open(fd));
	CHECK_IS(mp_write(h, "x", 1), -EBADF);
	CHECK_IS(mp_lwsocket_to_fd(h), -EBADF);
	CHECK_IS(stats_of(ch).lwsockets, 0);
	receive_all(client, text, 6);
	check_stream(ch, fd, client);
}

static void check_busy(struct mp_channel *ch, int listener)
{
	struct mp_handle *h = accept_lwsocket(ch, listener);
	char text[8];

	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	CHECK_IS(mp_lwsocket_to_fd(h), -EBUSY);
	send_all(client, "late", 4);
	EXPECT(ch, h, MP_READ, 4);
	CHECK_IS(mp_write(h, "a", 1), 0);
	CHECK_IS(mp_lwsocket_to_fd(h), -EBUSY);
	EXPECT(ch, h, MP_WRITE, 1);
	CHECK_IS(mp_unregister(h), 0);
	CHECK_IS(mp_flush(ch), 0);
	receive_all(client, text, 1);
	receive_end(client);
	SYS(close(client));
}

/*
 * After mp_recv() with nothing ahead it may take a while, but no byte is lost.
 */
static void check_received(struct mp_channel *ch, int listener)
{
	struct mp_handle *h = accept_lwsocket(ch, listener);
	struct mp_event ev;
	char text[8];
	int fd;

	CHECK_IS(mp_recv(h), 0);
	send_all(client, "one", 3);
	ev = EXPECT(ch, h, MP_RECV, 3);
	CHECK_IS(mp_release(ch, &ev), 0);
	fd = mp_lwsocket_to_fd(h);
	CHECK(fd >= 0);
	send_all(client, "two", 3);
	receive_all(fd, text, 3);
	CHECK_BYTES(text, "two", 3);
	SYS(close(fd));
	SYS(close(client));
}

/* Of a handle of an fd the same fd is returned. */
static void check_fd(struct mp_channel *ch)
{
	int pair[2];
	struct mp_handle *h;

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_lwsocket_to_fd(h), pair[0]);
	CHECK_IS(mp_lwsocket_to_fd(h), -EBADF);
	check_stream(ch, pair[0], pair[1]);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET);

	CHECK_IS(mp_accept(make_handle(ch, listener), MP_ACCEPT_ALL, true), 0);
	check_idle(ch, listener);
	check_busy(ch, listener);
	check_received(ch, listener);
	check_fd(ch);
	mp_destroy(ch);
}
