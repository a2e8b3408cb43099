/* SPDX-License-Identifier: MIT */
/*
 * When one channel's handle goes, the others still get theirs, and its CPU is
 * free for another channel, again and again.
 */
#include "servers.h"

#define EACH 50
#define ROUNDS 4

static void check_round(struct server *staying, const int *cpus)
{
	struct server passing = { .listener = staying->listener,
				  .mask = cpu_mask_of(cpus[1]) };

	start_server(&passing);
	clients_from(cpus[1], passing.listener, EACH);
	stop_server(&passing);
	CHECK_IS(passing.accepted, EACH);
	CHECK_IS(passing.misplaced, 0);
	clients_from(cpus[0], staying->listener, EACH);
}

void test(void)
{
	int cpus[MOST_CPUS];
	struct server staying = { .listener = listen_tcp(AF_INET) };

	need_cpus(cpus);
	staying.mask = cpu_mask_of(cpus[0]);
	start_server(&staying);
	for (int i = 0; i < ROUNDS; i++)
		check_round(&staying, cpus);
	stop_server(&staying);
	CHECK_IS(staying.accepted, ROUNDS * EACH);
	CHECK_IS(staying.misplaced, 0);
	SYS(close(staying.listener));
}
