/* SPDX-License-Identifier: MIT */
/*
 * An echo server whose clients reset at random moments: every connection ends,
 * and nothing of it stays behind.
 */
#include <fcntl.h>

#include "check.h"

#define CONNECTIONS 1000
#define AT_ONCE 20
#define SIZE 3000

static unsigned int seed = 42;
static char bytes[SIZE];

/* One step of a client, in any state; it ends by a reset or a plain close. */
static bool step(int fd)
{
	char received[SIZE];

	switch (rand_r(&seed) % 6) {
	case 0:
		reset(fd);
		return false;
	case 1:
		if (rand_r(&seed) % 2)
			return true;
		SYS(close(fd));
		return false;
	case 2:
		(void)!recv(fd, received, 1 + rand_r(&seed) % SIZE,
			    MSG_DONTWAIT);
		return true;
	default:
		(void)!send(fd, bytes, 1 + rand_r(&seed) % SIZE,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		return true;
	}
}

static int closed;

static void handle(struct mp_channel *ch, struct mp_event ev)
{
	static char reply[SIZE * 4];

	if (ev.cmd == MP_ACCEPT) {
		CHECK(ev.result >= 0);
		CHECK_IS(mp_recv(make_handle(ch, ev.result)), 0);
	} else if (ev.cmd == MP_CLOSE) {
		CHECK_IS(ev.result, 0);
		closed++;
	} else if (ev.cmd == MP_RECV && ev.result > 0) {
		CHECK_IS(mp_release(ch, &ev), 0);
		CHECK_IS(mp_write(ev.handle, reply, ev.result * 4), 0);
		CHECK_IS(mp_recv(ev.handle), 0);
	} else if (ev.cmd == MP_RECV) {
		CHECK(ev.result == 0 || ev.result == -ECONNRESET);
		CHECK_IS(mp_close(ev.handle), 0);
	}
}

static void serve_what_is_there(struct mp_channel *ch)
{
	struct mp_event ev;

	while (mp_dispatch(ch, &ev, 0) == 1)
		handle(ch, ev);
}

static void run_clients(struct mp_channel *ch, int listener)
{
	int fds[AT_ONCE] = { 0 }, started = 0;

	for (int running = 0; started < CONNECTIONS || running > 0;) {
		int i = rand_r(&seed) % AT_ONCE;

		if (!fds[i] && started < CONNECTIONS) {
			fds[i] = connect_to(listener);
			started++;
			running++;
		} else if (fds[i] && !step(fds[i])) {
			fds[i] = 0;
			running--;
		}
		if (rand_r(&seed) % 2)
			serve_what_is_there(ch);
	}
}

static void serve_the_rest(struct mp_channel *ch)
{
	struct mp_event ev;

	for (;;) {
		while (stats_of(ch).handles > 1)
			handle(ch, NEXT(ch));
		if (mp_dispatch(ch, &ev, 200 * 1000) != 1)
			return;
		handle(ch, ev);
	}
}

static void check_server(bool is_lwsocket)
{
	struct mp_channel *ch = make_channel_with((struct mp_options){
		.buffers = 8, .max_lwsockets = 16, .buffer_size = 512 });
	int listener = listen_tcp(AF_INET), fds = open_fds();
	struct mp_handle *h = make_handle(ch, listener);

	closed = 0;
	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, is_lwsocket), 0);
	run_clients(ch, listener);
	serve_the_rest(ch);
	CHECK_IS(stats_of(ch).handles, 1);
	CHECK_IS(stats_of(ch).lwsockets, 0);
	CHECK_IS(stats_of(ch).buffers_held, 0);
	CHECK_IS(stats_of(ch).accepted, closed);
	CHECK_IS(open_fds(), fds);
	mp_destroy(ch);
	SYS(close(listener));
}

void test(void)
{
	check_server(false);
	check_server(true);
}
