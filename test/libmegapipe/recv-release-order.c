/* SPDX-License-Identifier: MIT */
/*
 * Buffers are given back in any order, for long, and none is handed out while
 * it is held.
 */
#include "check.h"

#define BUFFERS 8
#define ROUNDS 400

static uint64_t places[BUFFERS];
static struct mp_event held[BUFFERS];

static void receive_into(struct mp_channel *ch, struct mp_handle *h, int peer,
			 int slot)
{
	static uint64_t place;
	char bytes[64];

	fill(bytes, sizeof(bytes), place);
	send_all(peer, bytes, sizeof(bytes));
	CHECK_IS(mp_recv(h), 0);
	held[slot] = EXPECT(ch, h, MP_RECV, sizeof(bytes));
	places[slot] = place;
	place += sizeof(bytes);
}

void test(void)
{
	struct mp_channel *ch = make_channel_with(
		(struct mp_options){ .buffers = BUFFERS, .buffer_size = 64 });
	unsigned int seed = 1;
	struct mp_handle *h;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	for (int i = 0; i < BUFFERS; i++)
		receive_into(ch, h, pair[1], i);
	for (int i = 0; i < ROUNDS; i++) {
		int slot = rand_r(&seed) % BUFFERS;

		check_filled(held[slot].recv.data, 64, places[slot]);
		CHECK_IS(mp_release(ch, &held[slot]), 0);
		receive_into(ch, h, pair[1], slot);
	}
	for (int i = 0; i < BUFFERS; i++)
		check_filled(held[i].recv.data, 64, places[i]);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
