/* SPDX-License-Identifier: MIT */
/*
 * A channel ends with its process, though a child has inherited it and lives:
 * the peers see the end. The child can't use it, before or after.
 */
#include <signal.h>

#include "channel.h"
#include "machine.h"
#include "processes.h"

struct scene {
	int listener;
	struct bell forked, may_end;
	bool is_killed;
};

static void check_not_mine(int ch, uint32_t h)
{
	struct megapipe_register reg = { .fd = 0 };
	struct megapipe_fd fd = { .handle = h };
	struct megapipe_stats stats;
	struct megapipe_run run = { .timeout_ns = PATIENCE_NS };

	CHECK_IS(try_run(ch, &run), -EPERM);
	CHECK(try_setup(ch, LWSOCKETS) < 0);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_REGISTER, &reg), -EPERM);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_FD, &fd), -EPERM);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_STATS, &stats), -EPERM);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_END, NULL), -EPERM);
}

/* The child that stays: it holds the channel's file and says so. */
static void stay(int ch, uint32_t h, const struct scene *s)
{
	check_not_mine(ch, h);
	ring(s->forked);
	await(s->may_end);
	check_not_mine(ch, h);
	_exit(0);
}

static void be_parent(void *arg)
{
	struct scene *s = arg;
	int ch = new_channel();
	uint32_t listener = add(ch, s->listener, 1), h;
	char text[8];

	ASK(ch, ACCEPT, listener, .len = 1);
	h = NEXT_OF(ch).result;
	ASK(ch, READ, h, BYTES(text, 8));
	if (SYS(fork()) == 0)
		stay(ch, h, s);
	if (s->is_killed)
		pause();
	await(s->forked);
	/* the channel is as before */
	ASK(ch, WRITE, h, BYTES("hi", 2));
	COMPLETES(ch, 0, WRITE, 2);
}

static void check_end(int listener, bool is_killed)
{
	struct scene s = { listener, new_bell(), new_bell(), is_killed };
	pid_t parent = start(be_parent, &s);
	int client = connect_to(listener);
	char text[2];

	if (is_killed) {
		await(s.forked);
		end(parent);
	} else {
		passes(parent);
		receive_all(client, text, 2);
	}
	receive_end(client);
	SYS(close(client));
	ring(s.may_end);
	await_module_users(0);
}

void test(void)
{
	int listener = listen_tcp(AF_INET);

	check_end(listener, false);
	check_end(listener, true);
}
