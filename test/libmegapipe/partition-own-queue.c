/* SPDX-License-Identifier: MIT */
/*
 * A socket that somebody has tied to a CPU of the mask is that CPU's queue: no
 * other is made, one request accepts from it for good, and it outlives the
 * handle with all that waits in it.
 */
#include <poll.h>

#include "servers.h"

#define EACH 100
#define WAITING 20

static struct mp_handle *accepting(struct mp_channel *ch, int fd,
				   const cpu_set_t *mask)
{
	struct mp_handle *h;

	CHECK_IS(mp_register(ch, fd, NULL, mask, &h), 0);
	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	CHECK_IS(mp_flush(ch), 0);
	return h;
}

static void check_affinity(const int *cpus, int count)
{
	struct server servers[MOST_CPUS] = { 0 };
	int listeners[MOST_CPUS];

	listen_group(listeners, cpus, count);
	for (int i = 0; i < count; i++) {
		servers[i].listener = listeners[i];
		servers[i].mask = cpu_mask_of(cpus[i]);
		start_server(&servers[i]);
	}
	for (int i = 0; i < count; i++)
		clients_from(cpus[i], listeners[0], EACH);
	for (int i = 0; i < count; i++) {
		stop_server(&servers[i]);
		CHECK_IS(servers[i].accepted, EACH);
		CHECK_IS(servers[i].misplaced, 0);
		SYS(close(listeners[i]));
	}
}

static void connect_some(int listener, int *clients)
{
	for (int i = 0; i < WAITING; i++)
		clients[i] = connect_to(listener);
}

/* The second channel takes what had come to the queue of the first. */
static void check_outlived(int cpu)
{
	struct mp_channel *ch = make_channel();
	cpu_set_t mask = cpu_mask_of(cpu);
	int listener, clients[WAITING], fds;
	struct mp_handle *h;
	uint64_t flushed;

	listen_group(&listener, &cpu, 1);
	fds = open_fds();
	CHECK_IS(mp_register(ch, listener, NULL, &mask, &h), 0);
	CHECK_IS(open_fds(), fds);
	connect_some(listener, clients);
	wait_queued(listener, WAITING);
	CHECK_IS(mp_unregister(h), 0);

	accepting(ch, listener, &mask);
	flushed = stats_of(ch).flushed;
	for (int i = 0; i < WAITING; i++)
		SYS(close(NEXT(ch).result));
	CHECK_IS(stats_of(ch).flushed, flushed);
	for (int i = 0; i < WAITING; i++) {
		receive_end(clients[i]);
		SYS(close(clients[i]));
	}
	mp_destroy(ch);
	CHECK(is_open(listener));
	SYS(close(listener));
}

static void tell(int pipe[2])
{
	send_all(pipe[1], "", 1);
}

static void hear(int pipe[2])
{
	char byte;

	receive_all(pipe[0], &byte, 1);
}

/* It is the first in line, and is woken when connections come. */
_Noreturn static void accept_and_leave(int listener, const cpu_set_t *mask,
				       int ready[2], int go[2])
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h = accepting(ch, listener, mask);

	tell(ready);
	hear(go);
	CHECK_IS(mp_unregister(h), 0);
	mp_destroy(ch);
	_exit(0);
}

static bool is_any_waiting(int listener)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };

	return SYS(poll(&p, 1, 0)) == 1;
}

/* The next process has the queue already when the one before leaves. */
static void check_handed_over(int cpu)
{
	cpu_set_t mask = cpu_mask_of(cpu);
	int listener, ready[2], go[2], clients[WAITING];
	struct mp_channel *ch;
	pid_t child;

	listen_group(&listener, &cpu, 1);
	unix_pair(ready, SOCK_STREAM);
	unix_pair(go, SOCK_STREAM);
	child = SYS(fork());
	if (child == 0)
		accept_and_leave(listener, &mask, ready, go);
	hear(ready);
	ch = make_channel();
	accepting(ch, listener, &mask);
	connect_some(listener, clients);
	wait_queued(listener, WAITING);
	tell(go);
	child_passes(child);
	while (is_any_waiting(listener))
		SYS(close(NEXT(ch).result));
	for (int i = 0; i < WAITING; i++)
		SYS(close(clients[i]));
	mp_destroy(ch);
	for (int i = 0; i < 2; i++) {
		SYS(close(ready[i]));
		SYS(close(go[i]));
	}
	SYS(close(listener));
}

/* Other CPUs of the mask get a queue each, as ever. */
static void check_wider_mask(const int *cpus)
{
	struct mp_channel *ch = make_channel();
	cpu_set_t mask = cpu_mask_of(cpus[0]);
	int listener, clients[WAITING], fds;
	struct mp_handle *h;

	listen_group(&listener, cpus, 1);
	fds = open_fds();
	CPU_SET(cpus[1], &mask);
	h = accepting(ch, listener, &mask);
	CHECK_IS(open_fds(), fds + 1);
	for (int i = 0; i < 2; i++) {
		pin_to(cpus[i]);
		connect_some(listener, clients);
		for (int k = 0; k < WAITING; k++)
			SYS(close(NEXT(ch).result));
		for (int k = 0; k < WAITING; k++)
			SYS(close(clients[k]));
	}
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	CHECK_IS(open_fds(), fds - 1);
	mp_destroy(ch);
}

/* One handle a process may have a CPU of it, as of any socket. */
static void check_claim(int cpu)
{
	struct mp_channel *ch[2] = { make_channel(), make_channel() };
	cpu_set_t mask = cpu_mask_of(cpu);
	struct mp_handle *h, *other;
	int listener;

	listen_group(&listener, &cpu, 1);
	CHECK_IS(mp_register(ch[0], listener, NULL, &mask, &h), 0);
	CHECK_IS(mp_register(ch[1], listener, NULL, &mask, &other), -EBUSY);
	CHECK_IS(mp_unregister(h), 0);
	CHECK_IS(mp_register(ch[1], listener, NULL, &mask, &other), 0);
	mp_destroy(ch[0]);
	mp_destroy(ch[1]);
	SYS(close(listener));
}

void test(void)
{
	int cpus[MOST_CPUS], count = need_cpus(cpus);

	check_affinity(cpus, count);
	check_outlived(cpus[0]);
	check_handed_over(cpus[0]);
	check_wider_mask(cpus);
	check_claim(cpus[0]);
}
