/* SPDX-License-Identifier: MIT */
/*
 * Channels come and go by the hundred, in the midst of traffic: nothing leaks,
 * nobody is left hanging.
 */
#include "check.h"

#define ROUNDS 300
#define CLIENTS 4

static int fds[CLIENTS], nfds; /* accepted as such: ours to close */

static void handle(struct mp_channel *ch, struct mp_event ev)
{
	CHECK(ev.result >= 0);
	if (ev.cmd == MP_ACCEPT) {
		if (ev.result < MP_LWSOCKET_BASE)
			fds[nfds++] = ev.result;
		CHECK_IS(mp_recv(make_handle(ch, ev.result)), 0);
	} else if (ev.cmd == MP_RECV && ev.result > 0) {
		CHECK_IS(mp_write(ev.handle, "answer", 6), 0);
	}
}

static void serve_some(struct mp_channel *ch, int listener, unsigned int *seed)
{
	int left = rand_r(seed) % 20;
	struct mp_event ev;

	CHECK_IS(mp_accept(make_handle(ch, listener), MP_ACCEPT_ALL,
			   rand_r(seed) % 2),
		 0);
	while (left-- > 0 && mp_dispatch(ch, &ev, 0) == 1)
		handle(ch, ev);
}

static void check_round(unsigned int *seed)
{
	int listener = listen_tcp(AF_INET), clients[CLIENTS];
	struct mp_channel *ch = make_channel_with((struct mp_options){
		.buffers = 8, .max_lwsockets = 1 + rand_r(seed) % 8 });

	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = connect_to(listener);
		send_all(clients[i], "question", 8);
	}
	serve_some(ch, listener, seed);
	mp_destroy(ch);
	while (nfds > 0)
		SYS(close(fds[--nfds]));
	for (int i = 0; i < CLIENTS; i++)
		SYS(close(clients[i]));
	SYS(close(listener));
}

void test(void)
{
	unsigned int seed = 11;
	int before = open_fds();

	for (int i = 0; i < ROUNDS; i++) {
		check_round(&seed);
		CHECK_IS(open_fds(), before);
	}
}
