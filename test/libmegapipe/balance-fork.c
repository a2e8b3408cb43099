/* SPDX-License-Identifier: MIT */
/*
 * A child knows nothing of its parent's queues: it takes nothing of them, and
 * its own channels help each other. The parent goes on.
 */
#include <sys/wait.h>

#include "servers.h"

static int cpus[MOST_CPUS];

static struct mp_channel *channel(void)
{
	return make_channel_with((struct mp_options){ .steal_us = 1 });
}

static struct mp_handle *listen_part(struct mp_channel *ch, int fd, int cpu)
{
	cpu_set_t mask = cpu_mask_of(cpu);
	struct mp_handle *h;

	CHECK_IS(mp_register(ch, fd, NULL, &mask, &h), 0);
	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	CHECK_IS(mp_flush(ch), 0);
	return h;
}

static void check_stolen(struct mp_channel *thief, int listener)
{
	uint64_t before = stats_of(thief).accepts_stolen;
	int client = connect_to(listener);
	struct mp_event ev = NEXT(thief);

	CHECK_IS(ev.cmd, MP_ACCEPT);
	CHECK(ev.result >= 0);
	CHECK_IS(stats_of(thief).accepts_stolen, before + 1);
	SYS(close(ev.result));
	receive_end(client);
	SYS(close(client));
}

/* On another socket: the parent's queues are still there. */
static void be_child(int parents)
{
	struct mp_channel *owner = channel(), *thief = channel();
	int listener = listen_tcp(AF_INET), client;

	listen_part(thief, parents, cpus[1]);
	listen_part(owner, listener, cpus[0]);
	listen_part(thief, listener, cpus[1]);
	client = connect_to(parents);
	EXPECT_NONE(thief);
	check_stolen(thief, listener);
	SYS(close(client));
	mp_destroy(owner);
	mp_destroy(thief);
	_exit(0);
}

void test(void)
{
	struct mp_channel *owner, *thief;
	int listener = listen_tcp(AF_INET);
	pid_t child;

	need_cpus(cpus);
	pin_to(cpus[0]);
	owner = channel();
	thief = channel();
	listen_part(owner, listener, cpus[0]);
	listen_part(thief, listener, cpus[1]);
	check_stolen(thief, listener);
	child = SYS(fork());
	if (!child)
		be_child(listener);
	child_passes(child);
	CHECK_IS(NEXT(thief).cmd, MP_ACCEPT); /* the child's client */
	check_stolen(thief, listener);
	mp_destroy(owner);
	mp_destroy(thief);
	SYS(close(listener));
}
