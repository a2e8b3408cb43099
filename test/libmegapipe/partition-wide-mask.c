/* SPDX-License-Identifier: MIT */
/* A mask of several CPUs takes the connections of them all. */
#include "servers.h"

#define EACH 100

void test(void)
{
	int cpus[MOST_CPUS], count = need_cpus(cpus);
	struct server s = { .listener = listen_tcp(AF_INET) };

	for (int i = 0; i < count; i++)
		CPU_SET(cpus[i], &s.mask);
	start_server(&s);
	for (int i = 0; i < count; i++)
		clients_from(cpus[i], s.listener, EACH);
	stop_server(&s);
	CHECK_IS(s.accepted, count * EACH);
	SYS(close(s.listener));
}
