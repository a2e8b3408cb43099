/* SPDX-License-Identifier: MIT */
/* Connections are accepted, so many as asked for. */
#include "channel.h"

static int ch, listener;
static uint32_t h;

static uint32_t accepted(bool has_more)
{
	struct megapipe_completion c = NEXT_OF(ch);

	CHECK_IS(c.op, MEGAPIPE_OP_ACCEPT);
	CHECK_IS(c.cookie, 1);
	CHECK(c.result >= 0);
	CHECK_IS(c.flags, has_more ? MEGAPIPE_C_MORE : 0);
	return c.result;
}

static void check_works(uint32_t handle, int client)
{
	ASK(ch, COOKIE, handle, .addr = 2);
	check_echo(ch, handle, 2, client);
	drop(ch, handle);
	receive_end(client);
	SYS(close(client));
}

static void check_count(void)
{
	uint32_t handles[3];
	int clients[4];

	ASK(ch, ACCEPT, h, .len = 3);
	STAYS_QUIET(ch);
	for (int i = 0; i < 4; i++)
		clients[i] = connect_to(listener);
	for (int i = 0; i < 3; i++)
		handles[i] = accepted(i < 2);
	for (int i = 0; i < 3; i++)
		check_works(handles[i], clients[i]);
	STAYS_QUIET(ch);
	ASK(ch, ACCEPT, h, .len = 1);
	check_works(accepted(false), clients[3]);
}

static void check_until_canceled(void)
{
	ASK(ch, ACCEPT, h, .len = 0);
	for (int i = 0; i < 100; i++) {
		int client = connect_to(listener);

		check_works(accepted(true), client);
	}
	ASK(ch, CANCEL, h, .arg = MEGAPIPE_LANE_READ);
	CHECK_IS(COMPLETES(ch, 1, ACCEPT, -ECANCELED).flags, 0);
}

static void check_no_wait(void)
{
	uint32_t handles[2];
	int clients[2];

	ASK(ch, ACCEPT, h, .len = 0, .flags = MEGAPIPE_F_NOWAIT);
	CHECK_IS(COMPLETES(ch, 1, ACCEPT, -EAGAIN).flags, 0);
	for (int i = 0; i < 2; i++)
		clients[i] = connect_to(listener);
	wait_queued(listener, 2);
	ASK(ch, ACCEPT, h, .len = 0, .flags = MEGAPIPE_F_NOWAIT);
	for (int i = 0; i < 2; i++)
		handles[i] = accepted(true);
	CHECK_IS(COMPLETES(ch, 1, ACCEPT, -EAGAIN).flags, 0);
	for (int i = 0; i < 2; i++)
		check_works(handles[i], clients[i]);
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
