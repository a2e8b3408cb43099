/* SPDX-License-Identifier: MIT */
/*
 * Socket options and names work on lwsockets as on fds, with the errors of the
 * socket calls.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "check.h"

static void check_options(struct mp_handle *h)
{
	int value = 1, got = 0;
	socklen_t len = sizeof(got);

	CHECK_IS(mp_setsockopt(h, IPPROTO_TCP, TCP_NODELAY, &value,
			       sizeof(value)),
		 0);
	CHECK_IS(mp_getsockopt(h, IPPROTO_TCP, TCP_NODELAY, &got, &len), 0);
	CHECK_IS(got, 1);
	CHECK_IS(len, sizeof(got));
	CHECK_IS(mp_getsockopt(h, SOL_SOCKET, SO_TYPE, &got, &len), 0);
	CHECK_IS(got, SOCK_STREAM);
	CHECK_IS(mp_setsockopt(h, IPPROTO_TCP, 12345, &value, sizeof(value)),
		 -ENOPROTOOPT);
	CHECK_IS(mp_setsockopt(h, IPPROTO_TCP, TCP_NODELAY, &value, 1),
		 -EINVAL);
	CHECK_IS(mp_getsockopt(h, IPPROTO_TCP, 12345, &got, &len),
		 -ENOPROTOOPT);
	CHECK_IS(mp_setsockopt(h, SOL_SOCKET, SO_KEEPALIVE, NULL, 4), -EINVAL);
	CHECK_IS(mp_getsockopt(h, SOL_SOCKET, SO_KEEPALIVE, NULL, &len),
		 -EINVAL);
	CHECK_IS(mp_getsockopt(h, SOL_SOCKET, SO_KEEPALIVE, &got, NULL),
		 -EINVAL);
}

static void check_names(struct mp_handle *h, int client)
{
	struct address own = address_of(client), peer = { .len = 128 },
		       name = { .len = 128 }, other = { .len = 128 };

	SYS(getpeername(client, (struct sockaddr *)&other.storage, &other.len));
	CHECK_IS(mp_getpeername(h, (struct sockaddr *)&peer.storage, &peer.len),
		 0);
	CHECK_IS(peer.len, own.len);
	CHECK_BYTES(&peer.storage, &own.storage, own.len);
	CHECK_IS(mp_getsockname(h, (struct sockaddr *)&name.storage, &name.len),
		 0);
	CHECK_IS(name.len, other.len);
	CHECK_BYTES(&name.storage, &other.storage, name.len);
	CHECK_IS(mp_getpeername(h, NULL, &name.len), -EINVAL);
	CHECK_IS(mp_getsockname(h, (struct sockaddr *)&name.storage, NULL),
		 -EINVAL);
}

/* One system call each, where the kernel can do it without an fd. */
static void check_cost(struct mp_channel *ch, struct mp_handle *h)
{
	struct address peer = { .len = sizeof(peer.storage) };
	uint64_t before = stats_of(ch).crossings;
	socklen_t len = sizeof(int);
	int value = 1;

	if (!engine_has("socket-options"))
		return;
	CHECK_IS(mp_setsockopt(h, IPPROTO_TCP, TCP_NODELAY, &value, 4), 0);
	CHECK_IS(mp_getsockopt(h, SOL_SOCKET, SO_TYPE, &value, &len), 0);
	CHECK_IS(mp_getpeername(h, (struct sockaddr *)&peer.storage, &peer.len),
		 0);
	CHECK_IS(stats_of(ch).crossings, before + 3);
}

static void check_not_socket(struct mp_channel *ch)
{
	int ends[2], value = 1;
	struct mp_handle *h;

	SYS(pipe(ends));
	h = make_handle(ch, ends[0]);
	CHECK_IS(mp_setsockopt(h, SOL_SOCKET, SO_KEEPALIVE, &value, 4),
		 -ENOTSOCK);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET), fds;
	struct mp_handle *h = make_handle(ch, listener), *conn;
	int client = connect_to(listener);

	CHECK_IS(mp_accept(h, 1, true), 0);
	conn = make_handle(ch, NEXT(ch).result);
	fds = open_fds();
	check_options(conn);
	check_names(conn, client);
	check_cost(ch, conn);
	CHECK_IS(open_fds(), fds);
	CHECK_IS(mp_accept(h, 1, false), 0);
	client = connect_to(listener);
	conn = make_handle(ch, NEXT(ch).result);
	check_options(conn);
	check_names(conn, client);
	check_not_socket(ch);
	mp_destroy(ch);
}
