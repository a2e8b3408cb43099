/* SPDX-License-Identifier: MIT */
/* A handle means nothing after its end, nor in another channel. */
#include "channel.h"

/* Whatever is asked of the handle is -EBADF. */
static void check_stale(int ch, uint32_t h)
{
	struct megapipe_fd fd = { .handle = h };
	char text[8];
	uint32_t len = sizeof(text);

	REFUSES(ch, -EBADF, ACCEPT, h, .len = 1);
	REFUSES(ch, -EBADF, READ, h, BYTES(text, 8));
	REFUSES(ch, -EBADF, RECV, h);
	REFUSES(ch, -EBADF, RECVMSG, h, .addr = ADDRESS(text));
	REFUSES(ch, -EBADF, WRITE, h, BYTES(text, 8));
	REFUSES(ch, -EBADF, SENDMSG, h, .addr = ADDRESS(text));
	REFUSES(ch, -EBADF, DISCONNECT, h, .arg = SHUT_WR);
	REFUSES(ch, -EBADF, POLL, h, .arg = POLLIN);
	REFUSES(ch, -EBADF, CANCEL, h, .arg = MEGAPIPE_LANE_READ);
	REFUSES(ch, -EBADF, CLOSE, h, .arg = -1);
	REFUSES(ch, -EBADF, COOKIE, h, .addr = 1);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_FD, &fd), -EBADF);
	CHECK_IS(try_socket_call(ch, h, MEGAPIPE_GETSOCKNAME, 0, 0, text, &len),
		 -EBADF);
}

static void check_nonsense(int ch, uint32_t h)
{
	for (int bit = 0; bit < 32; bit++)
		check_stale(ch, h ^ 1u << bit);
	check_stale(ch, 0xffffffff);
	if (h != 0)
		check_stale(ch, 0);
}

/* Places are used in turn: a number comes back late. */
static void check_generations(int ch, int fd)
{
	uint32_t first = add(ch, fd, 0), last = first;

	for (uint32_t i = 1; i < 10 * MEGAPIPE_GENERATIONS; i++) {
		uint32_t h;

		drop(ch, last);
		h = add(ch, fd, 0);
		CHECK(h != first && h != last);
		REFUSES(ch, -EBADF, COOKIE, last);
		last = h;
	}
	REFUSES(ch, -EBADF, COOKIE, first);
	drop(ch, last);
	check_stale(ch, last);
}

/* The same of lwsockets. */
static void check_lwsockets(int ch, int listener)
{
	uint32_t last = 0;
	int client;

	for (int i = 0; i < 50; i++) {
		uint32_t h = accept_lwsocket(ch, listener, &client, 1);

		CHECK(!(h & MEGAPIPE_HANDLE_FILE));
		if (i > 0)
			check_stale(ch, last);
		drop(ch, h);
		SYS(close(client));
		last = h;
	}
	check_stale(ch, last);
}

void test(void)
{
	int ch = new_channel(), other = new_channel(), pair[2];
	uint32_t h;

	unix_pair(pair, SOCK_STREAM);
	check_stale(ch, 0);
	check_stale(ch, MEGAPIPE_HANDLE_FILE);
	check_stale(ch, 0xffffffff);
	h = add(ch, pair[0], 1);
	CHECK(h & MEGAPIPE_HANDLE_FILE);
	check_nonsense(ch, h);
	check_stale(other, h);
	drop(ch, h);
	check_stale(ch, h);
	check_generations(ch, pair[0]);
	check_lwsockets(ch, listen_tcp(AF_INET));
	SYS(close(ch));
	SYS(close(other));
}
