/* SPDX-License-Identifier: MIT */
/*
 * CLOSE ends what is in flight, then the handle, then the descriptor it was
 * told; its completion is the last.
 */
#include "channel.h"

static char large[4 << 20];
static int ch;

static void begin(uint32_t h)
{
	static char text[8];

	ASK(ch, READ, h, BYTES(text, 8));
	ASK(ch, WRITE, h, BYTES(large, sizeof(large)));
	ASK(ch, POLL, h, .arg = POLLRDHUP);
	STAYS_QUIET(ch);
}

static void check_ends(void)
{
	int seen = 0;

	for (int i = 0; i < 3; i++) {
		struct megapipe_completion c = NEXT_OF(ch);

		CHECK_IS(c.result, -ECANCELED);
		CHECK_IS(c.cookie, 1);
		seen |= 1 << c.op;
	}
	CHECK_IS(seen, 1 << MEGAPIPE_OP_READ | 1 << MEGAPIPE_OP_WRITE |
			       1 << MEGAPIPE_OP_POLL);
	COMPLETES(ch, 1, CLOSE, 0);
	STAYS_QUIET(ch);
}

static void check_file(bool with_fd, int flags)
{
	int pair[2];
	uint32_t h;

	tcp_pair(pair);
	small_buffers(pair);
	h = add(ch, pair[0], 1);
	begin(h);
	ASK(ch, CLOSE, h, .arg = with_fd ? pair[0] : -1, .flags = flags);
	if (flags)
		STAYS_QUIET(ch);
	else
		check_ends();
	REFUSES(ch, -EBADF, READ, h);
	CHECK_IS(is_open(pair[0]), !with_fd);
	if (!with_fd)
		SYS(close(pair[0]));
	SYS(close(pair[1]));
}

static void check_lwsocket(int flags)
{
	int listener = listen_tcp(AF_INET), client;
	uint32_t h;

	small_buffers((int[2]){ listener, listener });
	h = accept_lwsocket(ch, listener, &client, 1);
	begin(h);
	ASK(ch, CLOSE, h, .arg = -1, .flags = flags);
	if (flags)
		STAYS_QUIET(ch);
	else
		check_ends();
	while (SYS(read(client, large, sizeof(large))) > 0)
		;
	SYS(close(client));
	SYS(close(listener));
}

/* A descriptor that is none, another file's or the channel's own stays. */
static void check_descriptors(void)
{
	int pair[2], wrong[4] = { INT32_MAX, 1000, 0, ch };

	unix_pair(pair, SOCK_STREAM);
	wrong[2] = pair[1];
	for (int i = 0; i < 4; i++) {
		ASK(ch, CLOSE, add(ch, pair[0], 1), .arg = wrong[i]);
		COMPLETES(ch, 1, CLOSE, -EBADF);
	}
	CHECK(is_open(pair[0]) && is_open(pair[1]) && is_open(ch));
	REFUSES(ch, -EINVAL, CLOSE, add(ch, pair[0], 1), .arg = -2);
}

void test(void)
{
	ch = new_channel();
	check_file(true, 0);
	check_file(false, 0);
	check_file(true, MEGAPIPE_F_SILENT);
	check_file(false, MEGAPIPE_F_SILENT);
	check_lwsocket(0);
	check_lwsocket(MEGAPIPE_F_SILENT);
	check_descriptors();
	CHECK_IS(stats_now(ch).files, 1);
	SYS(close(ch));
}
