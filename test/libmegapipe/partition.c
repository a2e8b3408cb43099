/* SPDX-License-Identifier: MIT */
/*
 * Channels with disjoint masks: each connection is accepted by the channel
 * whose mask holds the CPU that it came in on.
 */
#include "servers.h"

#define EACH 200

static void check_partition(const int *cpus, int count, bool is_lwsocket)
{
	int listener = listen_tcp(AF_INET);
	struct server servers[MOST_CPUS] = { 0 };

	for (int i = 0; i < count; i++) {
		servers[i].listener = listener;
		servers[i].mask = cpu_mask_of(cpus[i]);
		servers[i].is_lwsocket = is_lwsocket;
		start_server(&servers[i]);
	}
	for (int i = 0; i < count; i++)
		clients_from(cpus[i], listener, EACH);
	for (int i = 0; i < count; i++) {
		stop_server(&servers[i]);
		CHECK_IS(servers[i].accepted, EACH);
		CHECK_IS(servers[i].misplaced, 0);
	}
	SYS(close(listener));
}

void test(void)
{
	int cpus[MOST_CPUS], count = need_cpus(cpus);

	check_partition(cpus, count, false);
	check_partition(cpus, count, true);
}
