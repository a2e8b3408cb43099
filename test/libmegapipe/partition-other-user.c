/* SPDX-License-Identifier: MIT */
/*
 * A worker that has given up its rights is a partition of a group that its
 * master made, and owns; when it ends, its connections wait for the next one.
 */
#include <sys/wait.h>

#include "servers.h"

#define NOBODY 65534
#define CLIENTS 10

/* Accepts so many, and leaves the rest to whoever comes next. */
static void work(int listener, int cpu, int count)
{
	cpu_set_t mask = cpu_mask_of(cpu);
	struct mp_channel *ch;
	struct mp_handle *h;

	SYS(setgid(NOBODY));
	SYS(setuid(NOBODY));
	pin_to(cpu);
	ch = make_channel();
	CHECK_IS(mp_register(ch, listener, NULL, &mask, &h), 0);
	for (int i = 0; i < count; i++) {
		struct mp_handle *conn;
		struct mp_event ev;

		CHECK_IS(mp_accept(h, 1, true), 0);
		ev = NEXT(ch);
		CHECK_IS(ev.cmd, MP_ACCEPT);
		conn = make_handle(ch, ev.result);
		CHECK_IS(mp_write(conn, "hello", 5), 0);
		EXPECT(ch, conn, MP_WRITE, 5);
	}
	mp_destroy(ch);
	_exit(0);
}

static void run_worker(int listener, int cpu, int count)
{
	pid_t child = SYS(fork());
	int status;

	if (child == 0)
		work(listener, cpu, count);
	SYS(waitpid(child, &status, 0));
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void test(void)
{
	int cpus[MOST_CPUS], clients[CLIENTS], listener;
	char text[5];

	need_cpus(cpus);
	if (geteuid() != 0)
		skip("needs root, to give its rights up");
	pin_to(cpus[0]);
	listen_group(&listener, cpus, 1);
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_to(listener);
	wait_queued(listener, CLIENTS);
	for (int i = 0; i < CLIENTS; i += 2)
		run_worker(listener, cpus[0], 2);
	for (int i = 0; i < CLIENTS; i++) {
		receive_all(clients[i], text, 5);
		receive_end(clients[i]);
		SYS(close(clients[i]));
	}
	SYS(close(listener));
}
