/* SPDX-License-Identifier: MIT */
/*
 * A server is killed while a child of it lives: the peers of its lwsockets get
 * their end, and its accept queues are gone with it: who connects then comes
 * to those that still listen.
 */
#include <signal.h>
#include <sys/wait.h>

#include "servers.h"

#define CLIENTS 20

static int listener, cpus[MOST_CPUS], ncpus;

static void partition(struct mp_channel *ch, struct mp_handle **h)
{
	cpu_set_t all;

	CPU_ZERO(&all);
	for (int i = 0; i < ncpus; i++)
		CPU_SET(cpus[i], &all);
	CHECK_IS(mp_register(ch, listener, NULL, &all, h), 0);
}

/* Says when it has accepted all, and who its child is. */
static _Noreturn void serve(int report)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h;
	pid_t child;
	char ready = 1;

	if (ncpus)
		partition(ch, &h);
	else
		h = make_handle(ch, listener);
	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, true), 0);
	EXPECT_NONE(ch);
	send_all(report, &ready, 1);
	for (int i = 0; i < CLIENTS; i++)
		CHECK_IS(mp_recv(make_handle(ch, NEXT(ch).result)), 0);
	EXPECT_NONE(ch);
	child = SYS(fork());
	while (child == 0)
		pause();
	send_all(report, &child, sizeof(child));
	for (;;)
		pause();
}

static void check_ends(const int *clients)
{
	for (int i = 0; i < CLIENTS; i++) {
		receive_end(clients[i]);
		SYS(close(clients[i]));
	}
}

/* Nobody but us listens: each comes to us. */
static void check_queues(void)
{
	for (int i = 0; i < CLIENTS; i++) {
		int client;

		if (ncpus)
			pin_to(cpus[i % ncpus]);
		client = connect_to(listener);
		SYS(close(SYS(accept4(listener, NULL, NULL, 0))));
		SYS(close(client));
	}
}

static void check(void)
{
	int clients[CLIENTS], pair[2];
	pid_t server, child;
	char ready;

	unix_pair(pair, SOCK_STREAM);
	listener = listen_tcp(AF_INET);
	server = SYS(fork());
	if (server == 0)
		serve(pair[1]);
	receive_all(pair[0], &ready, 1);
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_to(listener);
	receive_all(pair[0], &child, sizeof(child));
	end_child(server);
	check_ends(clients);
	check_queues();
	SYS(kill(child, 0));
	SYS(kill(child, SIGKILL));
	SYS(close(listener));
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

void test(void)
{
	check();
	if (engine_has("partition"))
		ncpus = need_cpus(cpus);
	if (ncpus)
		check();
}
