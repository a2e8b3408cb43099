/* SPDX-License-Identifier: MIT */
/* Connections from a CPU that no mask holds are served all the same. */
#include "servers.h"

#define EACH 100

void test(void)
{
	int cpus[MOST_CPUS], count = need_cpus(cpus);
	struct server s = { .listener = listen_tcp(AF_INET) };

	s.mask = cpu_mask_of(cpus[0]);
	start_server(&s);
	for (int i = 0; i < count; i++)
		clients_from(cpus[i], s.listener, EACH);
	stop_server(&s);
	CHECK_IS(s.accepted, count * EACH);
	SYS(close(s.listener));
}
