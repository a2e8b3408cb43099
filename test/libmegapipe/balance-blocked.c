/* SPDX-License-Identifier: MIT */
/*
 * All clients are on one CPU, whose owner is held up in a handler until the
 * others have been served: who shares the socket serves them. Owners and
 * thieves may be of different engines.
 */
#include <pthread.h>
#include <semaphore.h>
#include <sys/eventfd.h>

#include "servers.h"

#define CLIENTS 40

struct worker {
	pthread_t thread;
	const char *engine;
	int listener, cpu, stop_fd;
	bool is_lwsocket;
	sem_t ready;
	sem_t *held; /* posted in a handler, once; or NULL: */
	sem_t *hold; /* then waited for there */
	int accepted;
	uint64_t stolen;
};

static struct mp_channel *channel_of(const struct worker *w)
{
	struct mp_options options = {
		.size = sizeof(options),
		.engine = w->engine,
		.steal_us = 1000,
	};
	struct mp_channel *ch;

	CHECK_IS(mp_create(&options, &ch), 0);
	return ch;
}

static void serve(struct worker *w, struct mp_channel *ch, struct mp_event ev)
{
	struct mp_handle *h;

	if (ev.cmd != MP_ACCEPT)
		return;
	CHECK(ev.result >= 0);
	w->accepted++;
	if (w->held) {
		SYS(sem_post(w->held));
		SYS(sem_wait(w->hold));
		w->held = NULL;
	}
	CHECK_IS(mp_register(ch, ev.result, NULL, NULL, &h), 0);
	CHECK_IS(mp_write(h, "!", 1), 0);
	CHECK_IS(mp_close(h), 0);
}

static void *run_worker(void *arg)
{
	struct worker *w = arg;
	struct mp_channel *ch = channel_of(w);
	cpu_set_t mask = cpu_mask_of(w->cpu);
	struct mp_handle *listener, *stop;
	struct mp_event ev;
	uint64_t count;

	CHECK_IS(mp_register(ch, w->listener, NULL, &mask, &listener), 0);
	CHECK_IS(mp_accept(listener, MP_ACCEPT_ALL, w->is_lwsocket), 0);
	stop = make_handle(ch, w->stop_fd);
	CHECK_IS(mp_read(stop, &count, sizeof(count)), 0);
	CHECK_IS(mp_flush(ch), 0);
	SYS(sem_post(&w->ready));
	while ((ev = NEXT(ch)).handle != stop)
		serve(w, ch, ev);
	w->stolen = stats_of(ch).accepts_stolen;
	mp_destroy(ch);
	return NULL;
}

static void start(struct worker *w)
{
	w->stop_fd = SYS(eventfd(0, EFD_CLOEXEC));
	SYS(sem_init(&w->ready, 0, 0));
	CHECK_IS(pthread_create(&w->thread, NULL, run_worker, w), 0);
	SYS(sem_wait(&w->ready));
}

static void stop(struct worker *w)
{
	const uint64_t one = 1;

	send_all(w->stop_fd, &one, sizeof(one));
	CHECK_IS(pthread_join(w->thread, NULL), 0);
	SYS(close(w->stop_fd));
	SYS(sem_destroy(&w->ready));
}

static void check_answered(int client)
{
	char byte;

	receive_all(client, &byte, 1);
	receive_end(client);
	SYS(close(client));
}

/*
 * The owner is held up by the first; what it had accepted with it waits as
 * well, so the others come when it is.
 */
static void check(const char *owner, const char *thief, bool is_lwsocket,
		  const int *cpus)
{
	int listener = listen_tcp(AF_INET), first, client;
	sem_t held, hold;
	struct worker w[2] = {
		{ .engine = owner,
		  .cpu = cpus[0],
		  .held = &held,
		  .hold = &hold },
		{ .engine = thief, .cpu = cpus[1] },
	};

	SYS(sem_init(&held, 0, 0));
	SYS(sem_init(&hold, 0, 0));
	for (int i = 0; i < 2; i++) {
		w[i].listener = listener;
		w[i].is_lwsocket = is_lwsocket;
	}
	start(&w[0]);
	first = connect_to(listener);
	SYS(sem_wait(&held));
	start(&w[1]);
	for (int i = 0; i < CLIENTS; i++) {
		client = connect_to(listener);
		check_answered(client);
	}
	SYS(sem_post(&hold));
	check_answered(first);
	for (int i = 0; i < 2; i++)
		stop(&w[i]);
	CHECK_IS(w[0].accepted, 1);
	CHECK_IS(w[1].accepted, CLIENTS);
	CHECK_IS(w[1].stolen, CLIENTS);
	SYS(sem_destroy(&held));
	SYS(sem_destroy(&hold));
	SYS(close(listener));
}

void test(void)
{
	int cpus[MOST_CPUS];

	need_cpus(cpus);
	pin_to(cpus[0]);
	check(engine, engine, false, cpus);
	check(engine, engine, true, cpus);
	check("epoll", engine, true, cpus);
	check(engine, "epoll", true, cpus);
}
