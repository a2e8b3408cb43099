/* SPDX-License-Identifier: MIT */
/*
 * A listener closes or leaves at random moments while clients pour in: what was
 * accepted is delivered or closed, and nothing of it stays behind.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "check.h"

#define ROUNDS 300

static atomic_bool over;

static void *pour(void *arg)
{
	const struct address *a = arg;

	while (!over) {
		int fd = SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

		(void)!connect(fd, (struct sockaddr *)&a->storage, a->len);
		reset(fd);
	}
	return NULL;
}

static void take(struct mp_channel *ch, struct mp_event ev)
{
	struct mp_handle *h;

	if (ev.cmd != MP_ACCEPT)
		return;
	CHECK(ev.result >= 0);
	h = make_handle(ch, ev.result);
	CHECK_IS(mp_recv(h), 0);
	CHECK_IS(mp_unregister(h), 0);
	if (ev.result < MP_LWSOCKET_BASE)
		SYS(close(ev.result));
}

/* Its duplicate goes, the socket itself stays for the next round. */
static void check_round(struct mp_channel *ch, int listener, unsigned int *seed)
{
	int fd = SYS(dup(listener)), left = rand_r(seed) % 10;
	struct mp_handle *h = make_handle(ch, fd);
	bool is_lwsocket = rand_r(seed) % 2;
	struct mp_event ev;

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, is_lwsocket), 0);
	while (left-- > 0 && mp_dispatch(ch, &ev, 1000) == 1)
		take(ch, ev);
	if (rand_r(seed) % 2) {
		CHECK_IS(mp_unregister(h), 0);
		SYS(close(fd));
		return;
	}
	CHECK_IS(mp_close(h), 0);
	do {
		ev = NEXT(ch);
		take(ch, ev);
	} while (ev.cmd != MP_CLOSE);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET), fds;
	struct address a = address_of(listener);
	unsigned int seed = 3;
	pthread_t clients;

	fds = open_fds();
	CHECK_IS(pthread_create(&clients, NULL, pour, &a), 0);
	for (int i = 0; i < ROUNDS; i++)
		check_round(ch, listener, &seed);
	over = true;
	CHECK_IS(pthread_join(clients, NULL), 0);
	EXPECT_NONE(ch);
	CHECK_IS(stats_of(ch).handles, 0);
	CHECK_IS(stats_of(ch).lwsockets, 0);
	CHECK_IS(open_fds(), fds);
	mp_destroy(ch);
	SYS(close(listener));
}
