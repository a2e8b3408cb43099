/* SPDX-License-Identifier: MIT */
/*
 * More connections come at once than there are lwsockets, to queues of the
 * handle's own: however many the kernel accepts ahead of the channel, each has
 * an lwsocket and is served.
 */
#include <pthread.h>

#include "check.h"

#define LWSOCKETS 48
#define THREADS 4
#define EACH 300
#define AT_ONCE 25

static int listener;

static void *visit(void *unused)
{
	int clients[AT_ONCE];
	char text[2];

	for (int done = 0; done < EACH; done += AT_ONCE) {
		for (int i = 0; i < AT_ONCE; i++)
			clients[i] = connect_to(listener);
		for (int i = 0; i < AT_ONCE; i++) {
			receive_all(clients[i], text, sizeof(text));
			receive_end(clients[i]);
			SYS(close(clients[i]));
		}
	}
	return unused;
}

static void serve_all(struct mp_channel *ch)
{
	for (int closed = 0; closed < THREADS * EACH;) {
		struct mp_event ev = NEXT(ch);
		struct mp_handle *h;

		if (ev.cmd == MP_CLOSE)
			closed++;
		if (ev.cmd != MP_ACCEPT)
			continue;
		CHECK(ev.result >= MP_LWSOCKET_BASE);
		CHECK(stats_of(ch).lwsockets <= LWSOCKETS);
		h = make_handle(ch, ev.result);
		CHECK_IS(mp_write(h, "ok", 2), 0);
		CHECK_IS(mp_close(h), 0);
	}
}

void test(void)
{
	struct mp_channel *ch = make_channel_with((struct mp_options){
		.max_lwsockets = LWSOCKETS, .completions = 16 });
	pthread_t threads[THREADS];
	struct mp_handle *h;
	cpu_set_t mask;

	if (!engine_has("partition"))
		skip("this kernel can't steer connections by CPU");
	CHECK_IS(sched_getaffinity(0, sizeof(mask), &mask), 0);
	listener = listen_tcp(AF_INET);
	CHECK_IS(mp_register(ch, listener, NULL, &mask, &h), 0);
	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, true), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_IS(pthread_create(&threads[i], NULL, visit, NULL), 0);
	serve_all(ch);
	for (int i = 0; i < THREADS; i++)
		CHECK_IS(pthread_join(threads[i], NULL), 0);
	CHECK_IS(stats_of(ch).accepted, THREADS * EACH);
	CHECK_IS(stats_of(ch).lwsockets, 0);
	CHECK_IS(stats_of(ch).accepts_paused, 0);
	mp_destroy(ch);
}
