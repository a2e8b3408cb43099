/* SPDX-License-Identifier: MIT */
/*
 * mp_destroy() with everything in flight leaks no descriptor and no memory;
 * fds stay the caller's.
 */
#include <sys/eventfd.h>

#include "check.h"

#define PAIRS 20
#define SIZE (4 << 20)

static int pairs[PAIRS][2];
static char *memory;

static void ask_everything(struct mp_channel *ch)
{
	for (int i = 0; i < PAIRS; i++) {
		struct mp_handle *h = make_handle(ch, pairs[i][0]);

		CHECK_IS(mp_read(h, memory + i * 64, 64), 0);
		CHECK_IS(mp_recv(h), 0);
		CHECK_IS(mp_write(h, memory, SIZE), 0);
		CHECK_IS(mp_write(h, memory, SIZE), 0);
		if (i % 3 == 0)
			send_all(pairs[i][1], "some", 4);
	}
}

static void accept_lwsockets(struct mp_channel *ch, int listener, int *clients)
{
	struct mp_handle *h = make_handle(ch, listener), *lwsocket;

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, true), 0);
	for (int i = 0; i < 3; i++)
		clients[i] = connect_to(listener);
	for (int i = 0; i < 3; i++) {
		struct mp_event ev = NEXT(ch);

		CHECK(ev.cmd == MP_ACCEPT && ev.result >= MP_LWSOCKET_BASE);
		if (i > 0)
			lwsocket = make_handle(ch, ev.result);
		if (i == 2)
			CHECK_IS(mp_recv(lwsocket), 0);
	}
}

static void check_destroy(bool dispatched)
{
	struct mp_channel *ch;
	int listener = listen_tcp(AF_INET), clients[3], fds = open_fds();

	ch = make_channel();
	accept_lwsockets(ch, listener, clients);
	ask_everything(ch);
	CHECK_IS(mp_read(make_handle(ch, SYS(eventfd(0, 0))), memory, 8), 0);
	if (dispatched)
		NEXT(ch);
	mp_destroy(ch);
	memset(memory, 0, SIZE);
	for (int i = 0; i < 3; i++) {
		receive_end(clients[i]);
		SYS(close(clients[i]));
	}
	CHECK_IS(open_fds(), fds + 1 /* the eventfd */);
	SYS(close(listener));
}

void test(void)
{
	memory = calloc(1, SIZE);
	for (int i = 0; i < PAIRS; i++) {
		unix_pair(pairs[i], SOCK_STREAM);
		small_buffers(pairs[i]);
	}
	check_destroy(false);
	check_destroy(true);
	for (int i = 0; i < PAIRS; i++)
		CHECK(is_open(pairs[i][0]));
	free(memory);
}
