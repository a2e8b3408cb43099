/* SPDX-License-Identifier: MIT */
/*
 * Connections that waited at the socket when it was registered with a mask
 * aren't forgotten. (With such connections the kernel lets others bind to the
 * port only if the socket had SO_REUSEADDR, as servers set it.)
 */
#include "servers.h"

#define EARLIER 10

void test(void)
{
	int cpus[MOST_CPUS], clients[EARLIER];
	struct server s = { .listener = listen_tcp(AF_INET) };
	const int one = 1;
	char byte;

	need_cpus(cpus);
	SYS(setsockopt(s.listener, SOL_SOCKET, SO_REUSEADDR, &one,
		       sizeof(one)));
	s.mask = cpu_mask_of(cpus[0]);
	for (int i = 0; i < EARLIER; i++) {
		clients[i] = connect_to(s.listener);
		send_all(clients[i], "?", 1);
	}
	start_server(&s);
	for (int i = 0; i < EARLIER; i++) {
		receive_all(clients[i], &byte, 1);
		SYS(close(clients[i]));
	}
	stop_server(&s);
	CHECK_IS(s.accepted, EARLIER);
	SYS(close(s.listener));
}
