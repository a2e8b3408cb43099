/* SPDX-License-Identifier: MIT */
/* The socket calls reach an lwsocket; a file has its descriptor for them. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "channel.h"

static int ch;

static void check_options(uint32_t h)
{
	set_option(ch, h, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(ch, h, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(ch, h, SOL_SOCKET, SO_SNDBUF, 20000);
	set_option(ch, h, IPPROTO_IP, IP_TOS, 0x10);
	CHECK_IS(get_option(ch, h, IPPROTO_TCP, TCP_NODELAY), 1);
	CHECK_IS(get_option(ch, h, IPPROTO_IP, IP_TOS), 0x10);
	if (!(features() & MEGAPIPE_FEATURE_GETSOCKOPT))
		return;
	CHECK_IS(get_option(ch, h, SOL_SOCKET, SO_KEEPALIVE), 1);
	CHECK_IS(get_option(ch, h, SOL_SOCKET, SO_SNDBUF), 40000);
	CHECK_IS(get_option(ch, h, SOL_SOCKET, SO_ERROR), 0);
	CHECK_IS(get_option(ch, h, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
}

static void check_names(uint32_t h, int client)
{
	struct address mine = address_of(client), got = { .len = 0 };
	struct sockaddr_storage peer;
	socklen_t size = sizeof(peer);
	uint32_t len = sizeof(got.storage);

	CHECK_IS(try_socket_call(ch, h, MEGAPIPE_GETPEERNAME, 0, 0,
				 &got.storage, &len),
		 0);
	CHECK_IS(len, mine.len);
	CHECK_BYTES(&got.storage, &mine.storage, len);
	SYS(getpeername(client, (struct sockaddr *)&peer, &size));
	len = sizeof(got.storage);
	CHECK_IS(try_socket_call(ch, h, MEGAPIPE_GETSOCKNAME, 0, 0,
				 &got.storage, &len),
		 0);
	CHECK_IS(len, size);
	CHECK_BYTES(&got.storage, &peer, len);
	/* cut off, and the whole length told */
	memset(&got, 0xee, sizeof(got));
	len = 4;
	CHECK_IS(try_socket_call(ch, h, MEGAPIPE_GETPEERNAME, 0, 0,
				 &got.storage, &len),
		 0);
	CHECK_IS(len, mine.len);
	CHECK_BYTES(&got.storage, &mine.storage, 4);
	CHECK_IS(((unsigned char *)&got.storage)[4], 0xee);
}

static void check_errors(uint32_t h)
{
	int value = 1;
	uint32_t len = sizeof(value);

	CHECK_IS(try_socket_call(ch, h, MEGAPIPE_SETSOCKOPT, SOL_SOCKET, 9999,
				 &value, &len),
		 -ENOPROTOOPT);
	len = 1;
	CHECK_IS(try_socket_call(ch, h, MEGAPIPE_SETSOCKOPT, SOL_SOCKET,
				 SO_KEEPALIVE, &value, &len),
		 -EINVAL);
	len = UINT32_MAX;
	CHECK(try_socket_call(ch, h, MEGAPIPE_SETSOCKOPT, SOL_SOCKET,
			      SO_KEEPALIVE, &value, &len) < 0);
	len = UINT32_MAX;
	CHECK(try_socket_call(ch, h, MEGAPIPE_GETPEERNAME, 0, 0, &value, &len) <
	      0);
}

/* A file's are done by its descriptor. */
static void check_file(int fd)
{
	uint32_t h = add(ch, fd, 0), len;
	int value = 0;

	for (int call = MEGAPIPE_SETSOCKOPT; call <= MEGAPIPE_GETPEERNAME;
	     call++) {
		len = sizeof(value);
		CHECK_IS(try_socket_call(ch, h, call, 0, 0, &value, &len),
			 -EINVAL);
	}
	drop(ch, h);
}

void test(void)
{
	int listener = listen_tcp(AF_INET), client, pair[2];
	uint32_t h;

	ch = new_channel();
	h = accept_lwsocket(ch, listener, &client, 1);
	check_options(h);
	check_names(h, client);
	check_errors(h);
	check_echo(ch, h, 1, client);
	tcp_pair(pair);
	check_file(pair[0]);
	SYS(pipe2(pair, O_CLOEXEC));
	check_file(pair[0]);
	SYS(close(ch));
}
