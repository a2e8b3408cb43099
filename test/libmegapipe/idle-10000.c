/* SPDX-License-Identifier: MIT */
/*
 * 10,000 idle connections wait in mp_recv(), hold no buffer and cost nothing;
 * then some of them speak, and are answered.
 */
#include <signal.h>
#include <sys/wait.h>

#include "check.h"

#define CONNECTIONS 10000
#define ACTIVE 500
#define ROOM (CONNECTIONS + 100)

static void speak(int fd)
{
	char reply;

	send_all(fd, "?", 1);
	receive_all(fd, &reply, 1);
	CHECK_IS(reply, '!');
}

/* Another process, which needs as many descriptors again. */
static void run_clients(int listener, int go, int connected)
{
	static int fds[CONNECTIONS];
	char byte;

	for (int i = 0; i < CONNECTIONS; i++)
		fds[i] = connect_to(listener);
	send_all(connected, "c", 1);
	receive_all(go, &byte, 1);
	for (int i = 0; i < ACTIVE; i++)
		speak(fds[(i * 7919 + 13) % CONNECTIONS]);
	_exit(0);
}

static void accept_all(struct mp_channel *ch, int listener, bool is_lwsocket)
{
	struct mp_handle *h = make_handle(ch, listener);

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, is_lwsocket), 0);
	for (int i = 0; i < CONNECTIONS; i++) {
		struct mp_event ev = NEXT(ch);

		CHECK(ev.cmd == MP_ACCEPT && ev.result >= 0);
		CHECK_IS(mp_recv(make_handle(ch, ev.result)), 0);
	}
	CHECK_IS(stats_of(ch).handles, CONNECTIONS + 1);
}

static void check_idle(struct mp_channel *ch)
{
	uint64_t crossings;

	EXPECT_NONE(ch);
	crossings = stats_of(ch).crossings;
	EXPECT_NONE(ch);
	CHECK(stats_of(ch).crossings - crossings < 20);
	CHECK_IS(stats_of(ch).buffers_held, 0);
}

static void serve(struct mp_channel *ch)
{
	for (int written = 0; written < ACTIVE;) {
		struct mp_event ev = NEXT(ch);

		CHECK_IS(ev.result, 1);
		written += ev.cmd == MP_WRITE;
		if (ev.cmd != MP_RECV)
			continue;
		CHECK_IS(mp_release(ch, &ev), 0);
		CHECK_IS(mp_write(ev.handle, "!", 1), 0);
		CHECK_IS(mp_recv(ev.handle), 0);
	}
}

static void check_connections(bool is_lwsocket)
{
	int listener = listen_tcp(AF_INET), go[2], connected[2], status;
	struct mp_channel *ch;
	pid_t child;
	char byte;

	SYS(pipe(go));
	SYS(pipe(connected));
	child = SYS(fork());
	if (child == 0)
		run_clients(listener, go[0], connected[1]);
	ch = make_channel_with((struct mp_options){ .buffers = 64 });
	accept_all(ch, listener, is_lwsocket);
	receive_all(connected[0], &byte, 1);
	check_idle(ch);
	send_all(go[1], "g", 1);
	serve(ch);
	SYS(waitpid(child, &status, 0));
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	mp_destroy(ch);
	SYS(close(listener));
}

void test(void)
{
	if (!limit_fds(ROOM))
		skip("RLIMIT_NOFILE can't be raised to %d", ROOM);
	check_connections(true);
}
