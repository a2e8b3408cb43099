/* SPDX-License-Identifier: MIT */
/*
 * One thread forks while another is within the library, accepting and closing:
 * at no moment has a child a descriptor of the channel's.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include "check.h"

#define FORKS 300

static int listener;
static bool stop;

/* A process of its own, whose descriptors aren't among ours. */
static pid_t connecting_child(void)
{
	pid_t child = SYS(fork());

	if (child == 0)
		SYS(prctl(PR_SET_PDEATHSIG, SIGKILL));
	while (child == 0) {
		int clients[20];

		for (int i = 0; i < 20; i++)
			clients[i] = connect_to(listener);
		for (int i = 0; i < 20; i++) {
			receive_end(clients[i]);
			reset(clients[i]);
		}
	}
	return child;
}

static void *serve(void *arg)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h = make_handle(ch, listener), *conn;
	struct mp_event ev;

	(void)arg;
	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, true), 0);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		if (mp_dispatch(ch, &ev, 10000) != 1 || ev.cmd != MP_ACCEPT ||
		    ev.result < 0)
			continue;
		conn = make_handle(ch, ev.result);
		CHECK_IS(mp_close(conn), 0);
	}
	mp_destroy(ch);
	return NULL;
}

void test(void)
{
	pthread_t thread;
	pid_t connecting;
	int fds;

	listener = listen_tcp(AF_INET);
	fds = open_fds();
	connecting = connecting_child();
	CHECK_IS(pthread_create(&thread, NULL, serve, NULL), 0);
	for (int i = 0; i < FORKS; i++) {
		pid_t child = SYS(fork());

		if (child == 0) {
			CHECK_IS(open_fds(), fds);
			_exit(0);
		}
		child_passes(child);
	}
	end_child(connecting);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	CHECK_IS(pthread_join(thread, NULL), 0);
	SYS(close(listener));
}
