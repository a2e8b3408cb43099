/* SPDX-License-Identifier: MIT */
/*
 * An lwsocket that was given a descriptor is an ordinary socket, which handle
 * and descriptor share; whichever goes first.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "channel.h"
#include "processes.h"

static int ch, listener;

static int fd_of(uint32_t h)
{
	struct megapipe_fd arg = { .handle = h };
	int fd = try_ioctl(ch, MEGAPIPE_IOC_FD, &arg);

	CHECK(fd >= 0);
	CHECK_IS(SYS(fcntl(fd, F_GETFD)), FD_CLOEXEC);
	return fd;
}

static void check_plain(int fd, int client)
{
	struct address name = address_of(fd);
	struct stat st;
	char text[4];

	CHECK_IS(name.storage.ss_family, AF_INET);
	SYS(fstat(fd, &st));
	CHECK(S_ISSOCK(st.st_mode));
	CHECK_IS(st.st_uid, geteuid());
	send_all(client, "ping", 4);
	receive_all(fd, text, 4);
	send_all(fd, "pong", 4);
	receive_all(client, text, 4);
	CHECK_BYTES(text, "pong", 4);
}

static void check_handle_first(void)
{
	int client, fd;
	uint32_t h = accept_lwsocket(ch, listener, &client, 1);

	fd = fd_of(h);
	check_echo(ch, h, 1, client);
	check_plain(fd, client);
	ASK(ch, CLOSE, h, .arg = -1);
	COMPLETES(ch, 1, CLOSE, 0);
	check_plain(fd, client);
	SYS(close(fd));
	receive_end(client);
	SYS(close(client));
}

static void check_fd_first(void)
{
	int client, fd;
	uint32_t h = accept_lwsocket(ch, listener, &client, 1);

	fd = fd_of(h);
	check_plain(fd, client);
	SYS(close(fd));
	check_echo(ch, h, 1, client);
	fd = fd_of(h);
	check_plain(fd, client);
	SYS(close(fd));
	drop(ch, h);
	receive_end(client);
	SYS(close(client));
}

static void check_channel_first(void)
{
	int client, fd, mine = ch;
	uint32_t h = accept_lwsocket(ch, listener, &client, 1);

	fd = fd_of(h);
	SYS(close(mine));
	check_plain(fd, client);
	SYS(close(fd));
	receive_end(client);
	SYS(close(client));
	ch = new_channel();
}

static char large[4 << 20];

static void receive_large(void *arg)
{
	static char got[sizeof(large)];

	receive_all(*(int *)arg, got, sizeof(got));
	check_filled(got, sizeof(got), 0);
}

/* What is in flight goes on: a read and a write that wait. */
static void check_in_flight(void)
{
	int client, fd;
	uint32_t h = accept_lwsocket(ch, listener, &client, 1);
	char text[8];
	pid_t child;

	fill(large, sizeof(large), 0);
	ASK(ch, READ, h, BYTES(text, 8));
	ASK(ch, WRITE, h, BYTES(large, sizeof(large)));
	STAYS_QUIET(ch);
	fd = fd_of(h);
	STAYS_QUIET(ch);
	send_all(client, "abc", 3);
	COMPLETES(ch, 1, READ, 3);
	SYS(close(fd));
	child = start(receive_large, &client);
	COMPLETES(ch, 1, WRITE, sizeof(large));
	passes(child);
	ASK(ch, READ, h, BYTES(text, 8));
	SYS(close(client));
	COMPLETES(ch, 1, READ, 0);
	drop(ch, h);
}

/* The descriptor may be registered itself, beside the handle. */
static void check_registered(void)
{
	int client, fd;
	uint32_t h = accept_lwsocket(ch, listener, &client, 1), other;

	fd = fd_of(h);
	other = add(ch, fd, 2);
	check_echo(ch, other, 2, client);
	check_echo(ch, h, 1, client);
	ASK(ch, CLOSE, other, .arg = fd);
	COMPLETES(ch, 2, CLOSE, 0);
	check_echo(ch, h, 1, client);
	drop(ch, h);
	receive_end(client);
	SYS(close(client));
}

/* There is no descriptor to be had: the lwsocket stays one. */
static void check_refused(void)
{
	int client, spare;
	struct megapipe_fd arg = { .handle = accept_lwsocket(ch, listener,
							     &client, 1) };

	for (spare = 3; is_open(spare); spare++)
		;
	CHECK(limit_fds(spare));
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_FD, &arg), -EMFILE);
	CHECK(limit_fds(spare + 20));
	check_echo(ch, arg.handle, 1, client);
	drop(ch, arg.handle);
	receive_end(client);
	/* a file has one already */
	arg.handle = add(ch, client, 1);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_FD, &arg), -EINVAL);
	drop(ch, arg.handle);
}

void test(void)
{
	ch = new_channel();
	listener = listen_tcp(AF_INET);
	small_buffers((int[2]){ listener, listener });
	check_handle_first();
	check_fd_first();
	check_channel_first();
	check_in_flight();
	check_registered();
	check_refused();
	SYS(close(ch));
}
