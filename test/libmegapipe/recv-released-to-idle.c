/* SPDX-License-Identifier: MIT */
/*
 * Handles that waited for a buffer, and then have nothing to receive or come
 * to their end, keep none from those behind them that have.
 */
#include "check.h"

#define BUFFERS 2
#define WAITING 9

struct side {
	int pair[2];
	struct mp_handle *h;
};

static void open_side(struct mp_channel *ch, struct side *side)
{
	unix_pair(side->pair, SOCK_STREAM);
	side->h = make_handle(ch, side->pair[0]);
}

static void close_side(struct side *side)
{
	SYS(close(side->pair[0]));
	SYS(close(side->pair[1]));
}

static void hold_all(struct mp_channel *ch, struct side *sides,
		     struct mp_event *held)
{
	for (int i = 0; i < BUFFERS; i++) {
		open_side(ch, &sides[i]);
		send_all(sides[i].pair[1], "held", 4);
		CHECK_IS(mp_recv(sides[i].h), 0);
		held[i] = EXPECT(ch, sides[i].h, MP_RECV, 4);
	}
}

/* All wait; only the last has something when there are buffers again. */
static void release_to(struct mp_channel *ch, bool is_ended)
{
	struct side holders[BUFFERS], waiting[WAITING];
	struct side *last = &waiting[WAITING - 1];
	struct mp_event held[BUFFERS], ev;

	hold_all(ch, holders, held);
	for (int i = 0; i < WAITING; i++) {
		open_side(ch, &waiting[i]);
		CHECK_IS(mp_recv(waiting[i].h), 0);
	}
	EXPECT_NONE(ch);
	send_all(last->pair[1], "late", 4);
	for (int i = 0; is_ended && i < WAITING - 1; i++)
		SYS(shutdown(waiting[i].pair[1], SHUT_WR));
	for (int i = 0; i < BUFFERS; i++)
		CHECK_IS(mp_release(ch, &held[i]), 0);
	for (int i = 0; is_ended && i < WAITING - 1; i++)
		CHECK_IS(NEXT(ch).result, 0);
	ev = EXPECT(ch, last->h, MP_RECV, 4);
	CHECK_IS(mp_release(ch, &ev), 0);
	EXPECT_NONE(ch);
	for (int i = 0; i < BUFFERS; i++) {
		CHECK_IS(mp_unregister(holders[i].h), 0);
		close_side(&holders[i]);
	}
	for (int i = 0; i < WAITING; i++) {
		CHECK_IS(mp_unregister(waiting[i].h), 0);
		close_side(&waiting[i]);
	}
}

void test(void)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .buffers = BUFFERS });

	release_to(ch, false);
	release_to(ch, true);
	CHECK_IS(stats_of(ch).buffers_held, 0);
	mp_destroy(ch);
}
