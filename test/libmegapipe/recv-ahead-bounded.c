/* SPDX-License-Identifier: MIT */
/*
 * A peer that sends as fast as it can, and nobody who asks: what the channel
 * takes in is a few buffers, and TCP holds the sender back. All of it comes
 * when it is asked for.
 */
#include "check.h"

#define BUFFERS 64
#define BUFFER_SIZE 4096
/* What the kernel's small buffers take for certain, and the channel's. */
#define MOST (2 << 20)

static char block[1 << 16];

/* Until the sockets' buffers are full and stay so. */
static uint64_t stuff(struct mp_channel *ch, int peer, uint64_t sent)
{
	struct mp_event ev;
	int stuck = 0;

	while (stuck < 10 && sent < MOST) {
		ssize_t n;

		fill(block, sizeof(block), sent);
		n = send(peer, block, sizeof(block), MSG_DONTWAIT);
		if (n > 0)
			sent += n;
		stuck = n > 0 ? 0 : stuck + 1;
		CHECK_IS(mp_dispatch(ch, &ev, 1000), 0);
	}
	return sent;
}

static uint64_t take_all(struct mp_channel *ch, struct mp_handle *h,
			 uint64_t from, uint64_t to)
{
	while (from < to) {
		struct mp_event ev;

		CHECK_IS(mp_recv(h), 0);
		ev = NEXT(ch);
		CHECK(ev.cmd == MP_RECV && ev.result > 0);
		check_filled(ev.recv.data, ev.result, from);
		from += ev.result;
		CHECK_IS(mp_release(ch, &ev), 0);
	}
	return from;
}

static void check_bounded(struct mp_channel *ch, int pair[2])
{
	struct mp_handle *h;
	uint64_t sent;

	small_buffers(pair);
	h = make_handle(ch, pair[0]);
	fill(block, 1, 0);
	send_all(pair[1], block, 1);
	CHECK_IS(take_all(ch, h, 0, 1), 1);
	/* engine uring goes on to receive, and nobody asks any more */
	sent = stuff(ch, pair[1], 1);
	CHECK(sent < MOST);
	CHECK_IS(take_all(ch, h, 1, sent), sent);
	CHECK_IS(stats_of(ch).buffers_held, 0);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	SYS(close(pair[1]));
}

void test(void)
{
	struct mp_channel *ch = make_channel_with((struct mp_options){
		.buffers = BUFFERS, .buffer_size = BUFFER_SIZE });
	int pair[2];

	tcp_pair(pair);
	check_bounded(ch, pair);
	unix_pair(pair, SOCK_STREAM);
	check_bounded(ch, pair);
	mp_destroy(ch);
}
