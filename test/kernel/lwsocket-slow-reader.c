/* SPDX-License-Identifier: MIT */
/*
 * A write that is far larger than the socket's buffers ends when all of it was
 * taken, however slowly the peer reads; reading goes on meanwhile.
 */
#include "channel.h"
#include "processes.h"

#define SIZE (3 << 20)

static char bytes[SIZE];

static void read_slowly(void *arg)
{
	int client = *(int *)arg;
	static char got[SIZE];

	for (size_t at = 0; at < SIZE;) {
		ssize_t n = SYS(read(client, got + at,
				     SIZE - at < 7000 ? SIZE - at : 7000));

		CHECK(n > 0);
		at += n;
		if (at % 16 == 0)
			send_all(client, "more", 4);
	}
	check_filled(got, SIZE, 0);
	SYS(shutdown(client, SHUT_WR));
	receive_end(client);
}

void test(void)
{
	int ch = new_channel(), listener = listen_tcp(AF_INET), client;
	struct iovec iov[3] = { { bytes, 100 },
				{ bytes + 100, 1 << 20 },
				{ bytes + 100 + (1 << 20),
				  SIZE - 100 - (1 << 20) } };
	bool is_written = false, has_ended = false;
	char text[64];
	uint32_t h;
	pid_t child;

	small_buffers((int[2]){ listener, listener });
	h = accept_lwsocket(ch, listener, &client, 1);
	fill(bytes, SIZE, 0);
	ASK(ch, READ, h, BYTES(text, sizeof(text)));
	ASK(ch, WRITE, h, VECTOR(iov, 3));
	STAYS_QUIET(ch);
	child = start(read_slowly, &client);
	while (!is_written || !has_ended) {
		struct megapipe_completion c = NEXT_OF(ch);

		if (c.op == MEGAPIPE_OP_WRITE) {
			CHECK_IS(c.result, SIZE);
			is_written = true;
		} else {
			CHECK(c.result >= 0);
			has_ended = c.result == 0;
		}
		if (c.op == MEGAPIPE_OP_READ && !has_ended)
			ASK(ch, READ, h, BYTES(text, sizeof(text)));
	}
	drop(ch, h);
	SYS(close(client));
	passes(child);
	SYS(close(ch));
}
