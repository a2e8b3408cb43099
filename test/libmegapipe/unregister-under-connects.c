/* SPDX-License-Identifier: MIT */
/*
 * A listener that others accept from, too, can leave while connections come:
 * also when the kernel is just trying one of its accepts, and finds that
 * another has taken the connection.
 */
#include <fcntl.h>
#include <pthread.h>

#include "check.h"

#define ROUNDS 400
#define STOPS 20

static int listen_fd;
static bool is_open_season, is_over;

static bool is_set(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static void set(bool *flag, bool value)
{
	__atomic_store_n(flag, value, __ATOMIC_RELEASE);
}

static void *connect_often(void *arg)
{
	(void)arg;
	while (!is_set(&is_over))
		if (is_set(&is_open_season))
			reset(connect_to(listen_fd));
		else
			usleep(10);
	return NULL;
}

static void *accept_beside(void *arg)
{
	(void)arg;
	while (!is_set(&is_over)) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			SYS(close(fd));
	}
	return NULL;
}

static void accept_and_stop(struct mp_channel *ch, struct mp_handle *h)
{
	struct mp_event ev;

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, true), 0);
	CHECK_IS(mp_flush(ch), 0);
	while (mp_dispatch(ch, &ev, 0) == 1)
		CHECK_IS(mp_unregister(make_handle(ch, ev.result)), 0);
	CHECK_IS(mp_accept(h, 0, true), 0);
	CHECK_IS(mp_flush(ch), 0);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	pthread_t threads[2];

	listen_fd = listen_tcp(AF_INET);
	SYS(fcntl(listen_fd, F_SETFL, O_NONBLOCK));
	CHECK_IS(pthread_create(&threads[0], NULL, connect_often, NULL), 0);
	CHECK_IS(pthread_create(&threads[1], NULL, accept_beside, NULL), 0);
	for (int i = 0; i < ROUNDS; i++) {
		struct mp_handle *h = make_handle(ch, listen_fd);

		set(&is_open_season, true);
		for (int j = 0; j < STOPS; j++)
			accept_and_stop(ch, h);
		set(&is_open_season, false);
		CHECK_IS(mp_unregister(h), 0);
	}
	set(&is_over, true);
	for (int i = 0; i < 2; i++)
		CHECK_IS(pthread_join(threads[i], NULL), 0);
	mp_destroy(ch);
	SYS(close(listen_fd));
}
