/* SPDX-License-Identifier: MIT */
/*
 * Several processes accept from one listener: each connection is accepted
 * once, and none is left waiting, when one of them stops, too.
 */
#include "channel.h"
#include "processes.h"

#define SERVERS 3
#define CONNECTIONS 300

static int listener;
static struct bell listening, may_stop;

static void answer(int ch, uint32_t accepted)
{
	ASK(ch, COOKIE, accepted, .addr = accepted);
	ASK(ch, WRITE, accepted, BYTES("!", 1));
}

/* Answers each connection with a byte, till it is told to stop. */
static void serve(void *arg)
{
	int ch = new_channel();
	uint32_t h = add(ch, listener, UINT64_MAX);
	uint32_t stop = add(ch, may_stop.fds[0], 0);
	struct megapipe_completion c;
	char byte;

	(void)arg;
	ASK(ch, READ, stop, BYTES(&byte, 1));
	ASK(ch, ACCEPT, h);
	STAYS_QUIET(ch);
	ring(listening);
	while ((c = NEXT_OF(ch)).op != MEGAPIPE_OP_READ) {
		CHECK(c.result >= 0);
		if (c.op == MEGAPIPE_OP_ACCEPT)
			answer(ch, c.result);
		else
			drop(ch, c.cookie);
	}
	SYS(close(ch));
}

static void be_answered(int count)
{
	int clients[CONNECTIONS];
	char byte;

	for (int i = 0; i < count; i++)
		clients[i] = connect_to(listener);
	for (int i = 0; i < count; i++) {
		receive_all(clients[i], &byte, 1);
		receive_end(clients[i]);
		SYS(close(clients[i]));
	}
}

void test(void)
{
	pid_t servers[SERVERS];

	CHECK(limit_fds(CONNECTIONS + 100));
	listener = listen_tcp(AF_INET);
	listening = new_bell();
	may_stop = new_bell();
	for (int i = 0; i < SERVERS; i++)
		servers[i] = start(serve, NULL);
	for (int i = 0; i < SERVERS; i++)
		await(listening);
	be_answered(CONNECTIONS);
	for (int i = 0; i < 100; i++)
		be_answered(1);
	/* one after the other goes; the others go on */
	end(servers[0]);
	be_answered(CONNECTIONS);
	end(servers[1]);
	be_answered(CONNECTIONS);
	ring(may_stop);
	passes(servers[2]);
}
