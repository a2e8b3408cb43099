/* SPDX-License-Identifier: MIT */
/*
 * Receives and polls are cancelled at random moments while bytes pour in: each
 * has its event, and every byte comes, in order, here or in the fd that the
 * connection is turned into in the end.
 */
#include <poll.h>
#include <pthread.h>

#include "check.h"

#define SIZE (1 << 20)
#define ROUNDS 6

static struct mp_channel *ch;

static void *pour(void *fd)
{
	unsigned int seed = 7;
	char *bytes = malloc(SIZE);
	size_t at = 0;

	fill(bytes, SIZE, 0);
	while (at < SIZE) {
		size_t n = 1 + rand_r(&seed) % 9000;

		n = n < SIZE - at ? n : SIZE - at;
		send_all(*(int *)fd, bytes + at, n);
		at += n;
	}
	free(bytes);
	return NULL;
}

struct reading {
	struct mp_handle *h;
	size_t place;
	int in_flight;
	char text[3000];
};

static void take(struct reading *r, struct mp_event ev)
{
	CHECK(ev.handle == r->h);
	if (ev.cmd == MP_POLL) {
		CHECK(ev.result > 0 || ev.result == -ECANCELED);
		return;
	}
	r->in_flight--;
	if (ev.result == -ECANCELED)
		return;
	CHECK(ev.result > 0);
	check_filled(ev.cmd == MP_RECV ? ev.recv.data : r->text, ev.result,
		     r->place);
	r->place += ev.result;
	if (ev.cmd == MP_RECV)
		CHECK_IS(mp_release(ch, &ev), 0);
}

static void step(struct reading *r, unsigned int *seed, bool by_recv)
{
	struct mp_event ev;

	if (!r->in_flight) {
		CHECK_IS(by_recv ? mp_recv(r->h) :
				   mp_read(r->h, r->text, sizeof(r->text)),
			 0);
		r->in_flight++;
	}
	switch (rand_r(seed) % 6) {
	case 0:
		CHECK_IS(mp_cancel(r->h, MP_RECV), 0);
		break;
	case 1:
		CHECK_IS(mp_cancel(r->h, MP_READ), 0);
		break;
	case 2:
		CHECK_IS(mp_poll(r->h, rand_r(seed) % 2 ? POLLIN : POLLRDHUP),
			 0);
		break;
	case 3:
		CHECK_IS(mp_cancel(r->h, MP_POLL), 0);
		break;
	default:
		break;
	}
	if (mp_dispatch(ch, &ev, rand_r(seed) % 3 ? 1000 : 0) == 1)
		take(r, ev);
}

/* What it says to do while it is -EBUSY. */
static int leave(struct reading *r)
{
	int fd;

	CHECK_IS(mp_cancel(r->h, MP_RECV), 0);
	CHECK_IS(mp_cancel(r->h, MP_READ), 0);
	CHECK_IS(mp_cancel(r->h, MP_POLL), 0);
	for (;;) {
		struct mp_event ev;

		while (r->in_flight || mp_pending(ch))
			take(r, NEXT(ch));
		while (mp_dispatch(ch, &ev, QUIET_US) == 1)
			take(r, ev);
		fd = mp_lwsocket_to_fd(r->h);
		if (fd != -EBUSY)
			return fd;
		CHECK_IS(mp_recv(r->h), 0);
		r->in_flight++;
	}
}

static void check_round(int listener, unsigned int *seed)
{
	struct reading r = { 0 };
	struct mp_handle *l = make_handle(ch, listener);
	int client, fd, steps = rand_r(seed) % 400;
	pthread_t pourer;
	char *rest;

	CHECK_IS(mp_accept(l, 1, true), 0);
	client = connect_to(listener);
	r.h = make_handle(ch, NEXT(ch).result);
	CHECK_IS(pthread_create(&pourer, NULL, pour, &client), 0);
	while (steps-- > 0 && r.place < SIZE / 2)
		step(&r, seed, rand_r(seed) % 2);
	fd = leave(&r);
	CHECK(fd >= 0);
	rest = malloc(SIZE);
	receive_all(fd, rest, SIZE - r.place);
	check_filled(rest, SIZE - r.place, r.place);
	free(rest);
	CHECK_IS(pthread_join(pourer, NULL), 0);
	SYS(close(fd));
	SYS(close(client));
	CHECK_IS(mp_unregister(l), 0);
}

void test(void)
{
	int listener = listen_tcp(AF_INET);
	unsigned int seed = 11;

	for (int i = 0; i < ROUNDS; i++) {
		ch = make_channel_with((struct mp_options){
			.batch = i % 3 ? 0 : 1, .buffers = i % 2 ? 0 : 2 });
		check_round(listener, &seed);
		mp_destroy(ch);
	}
}
