/* SPDX-License-Identifier: MIT */
/*
 * Channels come and go while others look at their queues and take from them:
 * by closing the handle, by unregistering it, by another mask, and by the end
 * of the channel. Each client is answered or reset, and each is let go: no
 * queue stays behind in which connections wait for nobody.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "servers.h"

#define ROUNDS 40
#define THREADS 3

static int listener, cpus[MOST_CPUS], count;
static atomic_bool is_over;
static atomic_int served, answered;
static atomic_uint_fast64_t stolen;

static void serve(struct mp_channel *ch, struct mp_event ev)
{
	struct mp_handle *h;

	if (ev.cmd != MP_ACCEPT || ev.result < 0)
		return;
	CHECK_IS(mp_register(ch, ev.result, NULL, NULL, &h), 0);
	CHECK_IS(mp_write(h, "!", 1), 0);
	CHECK_IS(mp_close(h), 0);
	served++;
}

static void dispatch_some(struct mp_channel *ch, int events)
{
	struct mp_event ev;

	while (events-- && mp_dispatch(ch, &ev, 2000) == 1)
		serve(ch, ev);
}

static void busy_for(unsigned int us)
{
	usleep(us);
}

/* In each of the ways. */
static void leave(struct mp_channel *ch, struct mp_handle *h, int how)
{
	struct mp_event ev;

	if (how == 0) {
		CHECK_IS(mp_unregister(h), 0);
	} else if (how == 1) {
		CHECK_IS(mp_close(h), 0);
		while ((ev = NEXT(ch)).handle != h || ev.cmd != MP_CLOSE)
			serve(ch, ev);
	}
}

/* A duplicate each: mp_close() closes it. */
static void run_once(int number, int round)
{
	struct mp_options options = { .steal_us = 1 + round % 3 * 100 };
	struct mp_channel *ch = make_channel_with(options);
	cpu_set_t mask = cpu_mask_of(cpus[number % count]);
	int fd = SYS(dup(listener)), ret, how = (round + number) % 3;
	struct mp_handle *h;

	ret = mp_register(ch, fd, NULL, &mask, &h);
	if (ret == -EBUSY) { /* there are fewer CPUs than threads */
		mp_destroy(ch);
		SYS(close(fd));
		return;
	}
	CHECK_IS(ret, 0);
	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, round % 2), 0);
	dispatch_some(ch, 10);
	busy_for(3000);
	dispatch_some(ch, 10);
	leave(ch, h, how);
	stolen += stats_of(ch).accepts_stolen;
	mp_destroy(ch);
	if (how != 1)
		SYS(close(fd));
}

static void *run_thread(void *number)
{
	for (int i = 0; i < ROUNDS; i++)
		run_once((int)(intptr_t)number, i);
	return NULL;
}

/* Who comes while a queue closes is reset. */
static bool connects(int fd)
{
	struct address a = address_of(listener);

	if (!connect(fd, (struct sockaddr *)&a.storage, a.len))
		return true;
	CHECK(errno == ECONNRESET || errno == ECONNREFUSED);
	return false;
}

/* In the end those whom the socket itself has are the last to be let go. */
static void *run_clients(void *arg)
{
	char byte;

	(void)arg;
	pin_to(cpus[0]);
	while (!is_over) {
		int fd = SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

		if (connects(fd))
			while (!readable(fd, 10) && !is_over)
				;
		answered += !is_over && read(fd, &byte, 1) == 1;
		SYS(close(fd));
	}
	return NULL;
}

void test(void)
{
	pthread_t threads[THREADS], clients;
	int before = open_fds();
	const int one = 1;

	count = need_cpus(cpus);
	listener = listen_tcp(AF_INET);
	/* parts are made while there are connections */
	SYS(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	CHECK_IS(pthread_create(&clients, NULL, run_clients, NULL), 0);
	for (intptr_t i = 0; i < THREADS; i++)
		CHECK_IS(pthread_create(&threads[i], NULL, run_thread,
					(void *)i),
			 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_IS(pthread_join(threads[i], NULL), 0);
	is_over = true;
	CHECK_IS(pthread_join(clients, NULL), 0);
	CHECK(served > 0);
	SYS(close(listener));
	CHECK_IS(open_fds(), before);
}
