/* SPDX-License-Identifier: MIT */
/* CANCEL ends operations of the kinds it names, and leaves the handle. */
#include "channel.h"

static char large[4 << 20];
static int ch, pair[2];
static uint32_t h;

static void canceled(int lanes, const int *ops, int count)
{
	int seen = 0, want = 0;

	ASK(ch, CANCEL, h, .arg = lanes);
	for (int i = 0; i < count; i++) {
		struct megapipe_completion c = NEXT_OF(ch);

		CHECK_IS(c.result, -ECANCELED);
		CHECK_IS(c.cookie, 1);
		CHECK_IS(c.flags, 0);
		seen |= 1 << c.op;
		want |= 1 << ops[i];
	}
	CHECK_IS(seen, want);
	STAYS_QUIET(ch);
}

#define CANCELED(lanes, ...)                          \
	canceled(lanes, (const int[]){ __VA_ARGS__ }, \
		 sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int))

static void check_kinds(void)
{
	static char text[8];
	struct iovec iov = { text, 8 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	ASK(ch, READ, h, BYTES(text, 8));
	CANCELED(MEGAPIPE_LANE_READ, MEGAPIPE_OP_READ);
	ASK(ch, RECV, h);
	CANCELED(MEGAPIPE_LANE_READ, MEGAPIPE_OP_RECV);
	ASK(ch, RECVMSG, h, .addr = ADDRESS(&msg));
	CANCELED(MEGAPIPE_LANE_READ, MEGAPIPE_OP_RECVMSG);
	ASK(ch, POLL, h, .arg = POLLIN);
	CANCELED(MEGAPIPE_LANE_POLL, MEGAPIPE_OP_POLL);
	ASK(ch, READ, h, BYTES(text, 8));
	ASK(ch, POLL, h, .arg = POLLIN);
	CANCELED(MEGAPIPE_LANE_READ | MEGAPIPE_LANE_POLL, MEGAPIPE_OP_READ,
		 MEGAPIPE_OP_POLL);
}

/* Nothing of the kind is in flight: nothing happens. */
static void check_nothing(void)
{
	char text[8];

	for (int lanes = 0; lanes < 8; lanes++) {
		ASK(ch, CANCEL, h, .arg = lanes);
		STAYS_QUIET(ch);
	}
	ASK(ch, READ, h, BYTES(text, 8));
	ASK(ch, CANCEL, h, .arg = MEGAPIPE_LANE_WRITE | MEGAPIPE_LANE_POLL);
	STAYS_QUIET(ch);
	send_all(pair[1], "still", 5);
	COMPLETES(ch, 1, READ, 5);
}

/* What has been taken of a write in part is on its way. */
static void check_writing(void)
{
	size_t got = 0;

	fill(large, sizeof(large), 0);
	ASK(ch, WRITE, h, BYTES(large, sizeof(large)));
	CANCELED(MEGAPIPE_LANE_WRITE, MEGAPIPE_OP_WRITE);
	memset(large, 0, sizeof(large));
	ASK(ch, DISCONNECT, h, .arg = SHUT_WR);
	COMPLETES(ch, 1, DISCONNECT, 0);
	for (ssize_t n = 1; n > 0; got += n)
		n = SYS(read(pair[1], large + got, sizeof(large) - got));
	CHECK(got < sizeof(large));
	check_filled(large, got, 0);
}

static void check_accepting(void)
{
	int listener = listen_tcp(AF_INET);

	h = add(ch, listener, 1);
	ASK(ch, ACCEPT, h);
	CANCELED(MEGAPIPE_LANE_READ, MEGAPIPE_OP_ACCEPT);
	SYS(close(connect_to(listener)));
	STAYS_QUIET(ch);
	wait_queued(listener, 1);
}

void test(void)
{
	ch = new_channel();
	give_buffers(ch, 2, 64);
	tcp_pair(pair);
	small_buffers(pair);
	h = add(ch, pair[0], 1);
	check_kinds();
	check_nothing();
	check_writing();
	check_accepting();
	SYS(close(ch));
}
