/* SPDX-License-Identifier: MIT */
/*
 * A partial write tells as soon as some bytes are taken, however slow the peer
 * is, and the caller goes on with the rest: all of it arrives, in order.
 */
#include "check.h"

#define SIZE (4 << 20)

static struct mp_channel *ch;
static char *bytes;

static void ask_rest(struct mp_handle *h, size_t done)
{
	size_t half = (SIZE - done) / 2;
	struct iovec iov[2] = {
		{ bytes + done, half },
		{ bytes + done + half, SIZE - done - half },
	};

	if (half % 2)
		CHECK_IS(mp_send(h, bytes + done, SIZE - done, MP_PARTIAL), 0);
	else
		CHECK_IS(mp_sendv(h, iov, 2, MP_PARTIAL), 0);
}

/*
 * The peer reads only when the writer stands still: it would never get on if it
 * weren't told.
 */
static void check_progress(int id, int peer)
{
	struct mp_handle *h = make_handle(ch, id);
	size_t done = 0, received = 0;
	unsigned int events = 0;
	struct mp_event ev;

	ask_rest(h, 0);
	while (done < SIZE) {
		while (mp_dispatch(ch, &ev, QUIET_US / 10) != 1)
			received += take_some(peer, received);
		CHECK(ev.handle == h && ev.cmd == MP_WRITE);
		CHECK(ev.result > 0 && ev.result <= (ssize_t)(SIZE - done));
		done += ev.result;
		events++;
		if (done < SIZE)
			ask_rest(h, done);
	}
	CHECK(events > 2);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	while (received < SIZE)
		received += take_some(peer, received);
	receive_end(peer);
	SYS(close(peer));
}

/* What is queued behind it would be out of place; the end isn't. */
static void check_behind(int id, int peer)
{
	struct mp_handle *h = make_handle(ch, id);
	size_t received = 0;
	ssize_t sent;

	CHECK_IS(mp_send(h, bytes, 100, MP_PARTIAL), 0);
	CHECK_IS(mp_write(h, bytes + 100, 100), 0);
	CHECK_IS(mp_send(h, bytes + 200, SIZE - 200, MP_PARTIAL), 0);
	CHECK_IS(mp_write(h, "lost", 4), 0);
	CHECK_IS(mp_disconnect(h, SHUT_WR), 0);
	EXPECT(ch, h, MP_WRITE, 100);
	EXPECT(ch, h, MP_WRITE, 100);
	sent = NEXT(ch).result;
	CHECK(sent > 0 && sent < SIZE - 200);
	EXPECT(ch, h, MP_WRITE, -ECANCELED);
	EXPECT(ch, h, MP_DISCONNECT, 0);
	while (received < 200 + (size_t)sent)
		received += take_some(peer, received);
	receive_end(peer);
	CHECK_IS(mp_send(h, bytes, 1, MP_PARTIAL), 0);
	EXPECT(ch, h, MP_WRITE, -EPIPE);
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(peer));
	if (id < MP_LWSOCKET_BASE)
		SYS(close(id));
}

static void check_lwsockets(void)
{
	int listener = listen_tcp(AF_INET), client, size = 32 << 10;
	struct mp_handle *accepting = make_handle(ch, listener);

	SYS(setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
	CHECK_IS(mp_accept(accepting, 2, true), 0);
	client = connect_to(listener);
	check_progress(NEXT(ch).result, client);
	client = connect_to(listener);
	check_behind(NEXT(ch).result, client);
	CHECK_IS(mp_unregister(accepting), 0);
	SYS(close(listener));
}

static void check_arguments(void)
{
	struct mp_handle *h;
	int pair[2];

	udp_pair(pair);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_send(h, bytes, 10, MP_PARTIAL | MP_COPY), -EINVAL);
	CHECK_IS(mp_send(h, bytes, 10, 1 << 2), -EINVAL);
	CHECK_IS(mp_sendv(h, NULL, 1, MP_PARTIAL), -EINVAL);
	CHECK_IS(mp_send(h, bytes, 1000, MP_PARTIAL), 0);
	EXPECT(ch, h, MP_WRITE, 1000); /* datagrams are whole */
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	SYS(close(pair[1]));
	SYS(pipe(pair));
	h = make_handle(ch, pair[1]);
	CHECK_IS(mp_send(h, bytes, 10, 0), -ENOTSOCK);
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

static void unix_stream_pair(int pair[2])
{
	unix_pair(pair, SOCK_STREAM);
}

static void check_sockets(void (*make)(int pair[2]))
{
	int pair[2];

	make(pair);
	small_buffers(pair);
	check_progress(pair[0], pair[1]);
	make(pair);
	small_buffers(pair);
	check_behind(pair[0], pair[1]);
}

void test(void)
{
	ch = make_channel();
	bytes = malloc(SIZE);
	fill(bytes, SIZE, 0);
	check_sockets(tcp_pair);
	check_sockets(unix_stream_pair);
	check_lwsockets();
	check_arguments();
	EXPECT_NONE(ch);
	CHECK_IS(stats_of(ch).handles, 0);
	mp_destroy(ch);
	free(bytes);
}
