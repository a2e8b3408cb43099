/* SPDX-License-Identifier: MIT */
/*
 * A listener's SO_LINGER comes with its connections: closing an lwsocket, or
 * its channel, never waits for a peer, and what was written still arrives.
 */
#include <netinet/tcp.h>

#include "channel.h"
#include "processes.h"

#define LONG_S 30000

static char bytes[4 << 20];

static int listen_lingering(int seconds)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = seconds };
	int listener = listen_tcp(AF_INET);

	small_buffers((int[2]){ listener, listener });
	SYS(setsockopt(listener, SOL_SOCKET, SO_LINGER, &linger,
		       sizeof(linger)));
	return listener;
}

/* Writes until nothing more is taken; how many bytes were. */
static size_t write_much(int ch, uint32_t h)
{
	size_t size = 0;

	for (;; size += 1000) {
		struct megapipe_run run = { .timeout_ns = QUIET_NS, .max = 1 };
		struct megapipe_completion c;

		ASK(ch, WRITE, h, BYTES(bytes + size, 1000));
		run.completions = ADDRESS(&c);
		if (try_run(ch, &run) == -ETIME)
			return size;
		CHECK_IS(c.result, 1000);
	}
}

/* What arrives is what was written; the last write may have been in part. */
static void check_arrives(int client, size_t size)
{
	static char got[sizeof(bytes)];
	size_t at = 0;
	ssize_t n;

	while ((n = SYS(read(client, got + at, sizeof(got) - at))) > 0)
		at += n;
	CHECK(at >= size && at < size + 1000);
	check_filled(got, at, 0);
}

static void check_close(int listener)
{
	int ch = new_channel(), client;
	uint32_t h = accept_lwsocket(ch, listener, &client, 1);
	size_t size = write_much(ch, h);

	ASK(ch, CLOSE, h, .arg = -1, .flags = MEGAPIPE_F_SILENT);
	STAYS_QUIET(ch);
	check_arrives(client, size);
	SYS(close(client));
	SYS(close(ch));
}

static void check_channel_close(int listener)
{
	int ch = new_channel(), client;
	uint32_t h = accept_lwsocket(ch, listener, &client, 1);
	size_t size = write_much(ch, h);

	SYS(close(ch));
	check_arrives(client, size);
	SYS(close(client));
}

static void just_end(void *arg)
{
	int ch = new_channel(), *pipe = arg, client;
	uint32_t h = accept_lwsocket(ch, pipe[0], &client, 1);
	size_t size = write_much(ch, h);

	SYS(write(pipe[2], &size, sizeof(size)));
	_exit(0);
}

/* A process that ends closes its channel. */
static void check_exit(int listener)
{
	int pipe[3] = { listener };
	size_t size;

	SYS(pipe2(pipe + 1, 0));
	in_child(just_end, pipe);
	receive_all(pipe[1], &size, sizeof(size));
	CHECK(size > 0);
}

/* Linger of 0: closing resets. */
static void check_reset(void)
{
	int ch = new_channel(), client;
	uint32_t h = accept_lwsocket(ch, listen_lingering(0), &client, 1);
	char byte;

	ASK(ch, CLOSE, h, .arg = -1);
	COMPLETES(ch, 1, CLOSE, 0);
	CHECK(readable(client, -1));
	CHECK_IS(TRY_SYS(read(client, &byte, 1)), -ECONNRESET);
	SYS(close(ch));
}

void test(void)
{
	int listener = listen_lingering(LONG_S);

	fill(bytes, sizeof(bytes), 0);
	check_close(listener);
	check_channel_close(listener);
	check_exit(listener);
	check_reset();
}
