/* SPDX-License-Identifier: MIT */
/*
 * A counted accept at several queues accepts exactly its count from all of
 * them together.
 */
#include "servers.h"

#define CLIENTS 12

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET), cpus[MOST_CPUS], clients[CLIENTS];
	int count = need_cpus(cpus), done = 0;
	struct mp_handle *h;
	cpu_set_t mask;

	CPU_ZERO(&mask);
	for (int i = 0; i < count; i++)
		CPU_SET(cpus[i], &mask);
	CHECK_IS(mp_register(ch, listener, NULL, &mask, &h), 0);
	for (int i = 0; i < CLIENTS; i++) {
		pin_to(cpus[i % count]);
		clients[i] = connect_to(listener);
	}
	for (int asked = 1; done + asked < CLIENTS; asked++) {
		CHECK_IS(mp_accept(h, asked, false), 0);
		for (int i = 0; i < asked; i++)
			SYS(close(NEXT(ch).result));
		EXPECT_NONE(ch);
		done += asked;
	}
	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	for (; done < CLIENTS; done++)
		SYS(close(NEXT(ch).result));
	for (int i = 0; i < CLIENTS; i++)
		receive_end(clients[i]);
	mp_destroy(ch);
	SYS(close(listener));
}
