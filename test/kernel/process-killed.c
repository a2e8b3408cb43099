/* SPDX-License-Identifier: MIT */
/*
 * A process that is killed, whatever its channel is doing: the peers of its
 * lwsockets see the end, and the module is let go.
 */
#include "channel.h"
#include "machine.h"
#include "processes.h"

#define CLIENTS 8

static char large[4 << 20];

struct scene {
	int listener;
	int64_t timeout_ns;
	struct bell busy;
};

/* Operations of every kind are in flight on lwsockets and files. */
static void be_busy(void *arg)
{
	static char text[CLIENTS][8];
	struct scene *s = arg;
	int ch = new_channel(), pair[2];
	uint32_t h = add(ch, s->listener, 1);
	struct megapipe_completion got[4];
	struct megapipe_run run = {
		.completions = ADDRESS(got),
		.max = 4,
		.timeout_ns = s->timeout_ns,
	};

	ASK(ch, ACCEPT, h);
	for (int i = 0; i < CLIENTS; i++) {
		uint32_t accepted = NEXT_OF(ch).result;

		ASK(ch, READ, accepted, BYTES(text[i], 8));
		ASK(ch, WRITE, accepted, BYTES(large, sizeof(large)));
		ASK(ch, POLL, accepted, .arg = POLLRDHUP);
	}
	unix_pair(pair, SOCK_STREAM);
	h = add(ch, pair[0], 2);
	ASK(ch, READ, h, BYTES(text[0], 8));
	ASK(ch, POLL, h, .arg = POLLIN);
	ring(s->busy);
	for (;;)
		try_run(ch, &run);
}

/* Its peers see that it is over; it had sent some. */
static void sees_end(int client)
{
	static char drain[65536];

	while (TRY_SYS(read(client, drain, sizeof(drain))) > 0)
		;
	SYS(close(client));
}

static void check_killed(int listener, int64_t timeout_ns)
{
	struct scene s = { listener, timeout_ns, new_bell() };
	int clients[CLIENTS];
	pid_t child = start(be_busy, &s);

	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_to(listener);
	await(s.busy);
	poll(NULL, 0, 20);
	end(child);
	for (int i = 0; i < CLIENTS; i++)
		sees_end(clients[i]);
	await_module_users(0);
}

void test(void)
{
	int listener = listen_tcp(AF_INET);

	small_buffers((int[2]){ listener, listener });
	check_killed(listener, -1);	     /* asleep */
	check_killed(listener, 0);	     /* coming and going */
	check_killed(listener, PATIENCE_NS); /* asleep, with a timer */
}
