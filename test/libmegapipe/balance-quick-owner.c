/* SPDX-License-Identifier: MIT */
/*
 * Nothing is stolen from an owner who is awake: one who has found nothing to do
 * since the thief looked for the first time isn't busy, however often a
 * connection waits while the thief looks.
 */
#include <time.h>

#include "servers.h"

#define STEAL_US 300000

static int64_t now_us(void)
{
	struct timespec t;

	SYS(clock_gettime(CLOCK_MONOTONIC, &t));
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
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

/* A connection waits, the thief sees it, and its owner takes it; if that could
 * take long, the thief may have been right to take it.
 */
static void go_round(struct mp_channel *owner, struct mp_channel *thief,
		     int listener)
{
	int client = connect_to(listener);
	int64_t before_us = now_us();
	struct mp_event ev;

	if (mp_dispatch(thief, &ev, 3000) == 1) {
		CHECK(now_us() - before_us >= STEAL_US);
	} else {
		ev = NEXT(owner);
		CHECK_IS(mp_dispatch(owner, &ev, 0), 0);
	}
	SYS(close(client));
}

void test(void)
{
	struct mp_options options = { .steal_us = STEAL_US };
	struct mp_channel *owner = make_channel_with(options);
	struct mp_channel *thief = make_channel_with(options);
	int listener = listen_tcp(AF_INET), cpus[MOST_CPUS];
	int64_t end_us;
	struct mp_handle *h;

	need_cpus(cpus);
	pin_to(cpus[0]);
	h = listen_part(owner, listener, cpus[0]);
	listen_part(thief, listener, cpus[1]);
	for (end_us = now_us() + 3 * STEAL_US; now_us() < end_us;)
		go_round(owner, thief, listener);

	/* and now it is busy */
	connect_to(listener);
	CHECK_IS(NEXT(thief).cmd, MP_ACCEPT);
	CHECK(stats_of(thief).accepts_stolen >= 1);
	CHECK_IS(mp_unregister(h), 0);
	mp_destroy(owner);
	mp_destroy(thief);
	SYS(close(listener));
}
