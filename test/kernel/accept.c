/* SPDX-License-Identifier: MIT */
/* Connections are accepted, so many as asked for, as descriptors. */
#include <fcntl.h>

#include "channel.h"

static int ch, listener;
static uint32_t h;

static int accepted(bool has_more)
{
	struct megapipe_completion c = NEXT_OF(ch);

	CHECK_IS(c.op, MEGAPIPE_OP_ACCEPT);
	CHECK_IS(c.cookie, 1);
	CHECK(c.result >= 0);
	CHECK_IS(c.flags, has_more ? MEGAPIPE_C_MORE : 0);
	return c.result;
}

/* An ordinary descriptor, as of accept4(SOCK_CLOEXEC). */
static void check_ordinary(int fd, int client)
{
	char text[4];

	CHECK_IS(SYS(fcntl(fd, F_GETFD)), FD_CLOEXEC);
	CHECK(!(SYS(fcntl(fd, F_GETFL)) & O_NONBLOCK));
	send_all(client, "ping", 4);
	receive_all(fd, text, 4);
	CHECK_BYTES(text, "ping", 4);
	SYS(close(fd));
	receive_end(client);
	SYS(close(client));
}

static void check_count(void)
{
	int clients[4];

	ASK(ch, ACCEPT, h, .len = 3);
	STAYS_QUIET(ch);
	for (int i = 0; i < 4; i++)
		clients[i] = connect_to(listener);
	for (int i = 0; i < 3; i++)
		check_ordinary(accepted(i < 2), clients[i]);
	STAYS_QUIET(ch);
	ASK(ch, ACCEPT, h, .len = 1);
	check_ordinary(accepted(false), clients[3]);
}

static void check_until_canceled(void)
{
	ASK(ch, ACCEPT, h, .len = 0);
	for (int i = 0; i < 100; i++) {
		int client = connect_to(listener);

		check_ordinary(accepted(true), client);
	}
	ASK(ch, CANCEL, h, .arg = MEGAPIPE_LANE_READ);
	CHECK_IS(COMPLETES(ch, 1, ACCEPT, -ECANCELED).flags, 0);
}

static void check_no_wait(void)
{
	int clients[2];

	ASK(ch, ACCEPT, h, .len = 0, .flags = MEGAPIPE_F_NOWAIT);
	CHECK_IS(COMPLETES(ch, 1, ACCEPT, -EAGAIN).flags, 0);
	for (int i = 0; i < 2; i++)
		clients[i] = connect_to(listener);
	wait_queued(listener, 2);
	ASK(ch, ACCEPT, h, .len = 0, .flags = MEGAPIPE_F_NOWAIT);
	for (int i = 0; i < 2; i++)
		check_ordinary(accepted(true), clients[i]);
	CHECK_IS(COMPLETES(ch, 1, ACCEPT, -EAGAIN).flags, 0);
}

void test(void)
{
	ch = new_channel();
	listener = listen_tcp(AF_INET);
	h = add(ch, listener, 1);
	check_count();
	check_until_canceled();
	check_no_wait();
	SYS(close(ch));
}
