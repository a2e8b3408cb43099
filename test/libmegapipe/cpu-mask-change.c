/* SPDX-License-Identifier: MIT */
/*
 * mp_set_cpu_mask(): connections come to who has their CPU by now, and none is
 * lost while masks change under load.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "servers.h"

#define SWAPS 200
#define MOST_CLIENTS 2

static int cpus[MOST_CPUS];
static atomic_bool is_over;

/* Two channels of this thread, each with a part of one socket. */
struct part {
	struct mp_channel *ch;
	struct mp_handle *h;
	int accepted;
};

static struct part part_of(int fd, const cpu_set_t *mask)
{
	struct part p = { .ch = make_channel() };

	CHECK_IS(mp_register(p.ch, fd, NULL, mask, &p.h), 0);
	CHECK_IS(mp_accept(p.h, MP_ACCEPT_ALL, true), 0);
	CHECK_IS(mp_flush(p.ch), 0);
	return p;
}

static void dispatch_all(struct part *p)
{
	struct mp_event ev;
	struct mp_handle *h;

	while (mp_dispatch(p->ch, &ev, 0) == 1) {
		if (ev.cmd != MP_ACCEPT)
			continue;
		CHECK(ev.result >= 0);
		p->accepted++;
		h = make_handle(p->ch, ev.result);
		CHECK_IS(mp_write(h, "!", 1), 0);
		CHECK_IS(mp_close(h), 0);
	}
}

/* From the CPU on which we are, to one of them and not to the other. */
static void check_comes_to(struct part *mine, struct part *other, int listener)
{
	int before = mine->accepted, others = other->accepted;
	int client = connect_to(listener);
	char byte;

	while (mine->accepted == before) {
		dispatch_all(mine);
		dispatch_all(other);
		CHECK_IS(other->accepted, others);
	}
	receive_all(client, &byte, 1);
	SYS(close(client));
}

static void set(struct part *p, cpu_set_t mask)
{
	CHECK_IS(mp_set_cpu_mask(p->h, &mask), 0);
}

static cpu_set_t none(void)
{
	cpu_set_t mask;

	CPU_ZERO(&mask);
	return mask;
}

static void exchange(struct part *p, int a, int b)
{
	set(&p[0], none());
	set(&p[1], cpu_mask_of(b));
	set(&p[0], cpu_mask_of(a));
}

static void check_moves(int listener)
{
	cpu_set_t one = cpu_mask_of(cpus[0]), two = cpu_mask_of(cpus[1]), both;
	struct part p[2] = { part_of(listener, &one), part_of(listener, &two) };
	struct part nobody = { .ch = make_channel() };
	int fds;

	CPU_OR(&both, &one, &two);
	pin_to(cpus[0]);
	check_comes_to(&p[0], &p[1], listener);
	fds = open_fds();
	exchange(p, cpus[1], cpus[0]);
	CHECK_IS(open_fds(), fds);
	check_comes_to(&p[1], &p[0], listener);
	pin_to(cpus[1]);
	check_comes_to(&p[0], &p[1], listener);
	CHECK_IS(mp_set_cpu_mask(p[0].h, &both), -EBUSY);
	check_comes_to(&p[0], &p[1], listener);
	set(&p[1], none());
	set(&p[0], both);
	check_comes_to(&p[0], &p[1], listener);
	pin_to(cpus[0]);
	check_comes_to(&p[0], &p[1], listener);
	CHECK_IS(mp_set_cpu_mask(p[1].h, &one), -EBUSY);
	mp_destroy(p[0].ch);
	set(&p[1], one);
	check_comes_to(&p[1], &nobody, listener);
	mp_destroy(p[1].ch);
	mp_destroy(nobody.ch);
}

static void *run_clients(void *arg)
{
	int listener = *(int *)arg;

	while (!is_over) {
		int fd = connect_to(listener);
		char byte;

		receive_all(fd, &byte, 1);
		receive_end(fd);
		SYS(close(fd));
	}
	return NULL;
}

static void *run_clients_0(void *arg)
{
	pin_to(cpus[0]);
	return run_clients(arg);
}

static void *run_clients_1(void *arg)
{
	pin_to(cpus[1]);
	return run_clients(arg);
}

static void check_under_load(int listener)
{
	cpu_set_t one = cpu_mask_of(cpus[0]), two = cpu_mask_of(cpus[1]), both;
	struct part p[2] = { part_of(listener, &one), part_of(listener, &two) };
	pthread_t clients[MOST_CLIENTS];

	CPU_OR(&both, &one, &two);
	CHECK_IS(pthread_create(&clients[0], NULL, run_clients_0, &listener),
		 0);
	CHECK_IS(pthread_create(&clients[1], NULL, run_clients_1, &listener),
		 0);
	for (int i = 0; i < SWAPS; i++) {
		exchange(p, cpus[1], cpus[0]);
		dispatch_all(&p[i % 2]);
		set(&p[0], none());
		set(&p[1], both);
		dispatch_all(&p[0]);
		dispatch_all(&p[1]);
		exchange(p, cpus[0], cpus[1]);
		dispatch_all(&p[1]);
	}
	is_over = true;
	while (pthread_tryjoin_np(clients[0], NULL)) {
		dispatch_all(&p[0]);
		dispatch_all(&p[1]);
	}
	while (pthread_tryjoin_np(clients[1], NULL)) {
		dispatch_all(&p[0]);
		dispatch_all(&p[1]);
	}
	CHECK(p[0].accepted > 0 && p[1].accepted > 0);
	mp_destroy(p[0].ch);
	mp_destroy(p[1].ch);
}

/* A socket that is its CPU's queue by itself moves; and what isn't allowed. */
static void check_own_queue(void)
{
	struct mp_channel *ch = make_channel();
	cpu_set_t mask = cpu_mask_of(cpus[0]), other = cpu_mask_of(cpus[1]);
	cpu_set_t missing;
	int listener, plain = listen_tcp(AF_INET), cpu;
	socklen_t len = sizeof(cpu);
	struct mp_handle *h, *unmasked = make_handle(ch, plain);

	CPU_ZERO(&missing);
	CPU_SET(CPU_SETSIZE - 1, &missing);
	listen_group(&listener, cpus, 1);
	CHECK_IS(mp_register(ch, listener, NULL, &mask, &h), 0);
	CHECK_IS(mp_set_cpu_mask(h, &missing), -EINVAL);
	CHECK_IS(mp_set_cpu_mask(h, NULL), -EINVAL);
	CHECK_IS(mp_set_cpu_mask(unmasked, &mask), -EINVAL);
	CHECK_IS(mp_set_cpu_mask(h, &other), 0);
	SYS(getsockopt(listener, SOL_SOCKET, SO_INCOMING_CPU, &cpu, &len));
	CHECK_IS(cpu, cpus[1]);
	CHECK_IS(mp_unregister(h), 0);
	CHECK_IS(mp_set_cpu_mask(h, &mask), -EBADF);
	mp_destroy(ch);
	SYS(close(listener));
	SYS(close(plain));
}

void test(void)
{
	int listener;

	need_cpus(cpus);
	listener = listen_tcp(AF_INET);
	check_moves(listener);
	check_under_load(listener);
	check_own_queue();
	SYS(close(listener));
}
