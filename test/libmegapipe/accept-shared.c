/* SPDX-License-Identifier: MIT */
/*
 * Channels that share a listener without masks: each connection is accepted
 * once, by one of them.
 */
#include "check.h"

#define CHANNELS 3
#define CLIENTS 300

static int accepted_by(struct mp_channel *ch)
{
	struct mp_event ev;
	int count = 0;

	for (; mp_dispatch(ch, &ev, 0) == 1; count++) {
		CHECK(ev.cmd == MP_ACCEPT && ev.result >= 0);
		SYS(close(ev.result));
	}
	return count;
}

static void check_shared(bool is_lwsocket)
{
	struct mp_channel *channels[CHANNELS];
	int listener = listen_tcp(AF_INET), clients[CLIENTS], accepted = 0;

	for (int i = 0; i < CHANNELS; i++) {
		channels[i] = make_channel();
		CHECK_IS(mp_accept(make_handle(channels[i], listener),
				   MP_ACCEPT_ALL, is_lwsocket),
			 0);
		CHECK_IS(mp_flush(channels[i]), 0);
	}
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_to(listener);
	while (accepted < CLIENTS)
		for (int i = 0; i < CHANNELS; i++)
			accepted += accepted_by(channels[i]);
	for (int i = 0; i < CHANNELS; i++) {
		EXPECT_NONE(channels[i]);
		mp_destroy(channels[i]);
	}
	for (int i = 0; i < CLIENTS; i++) {
		receive_end(clients[i]);
		SYS(close(clients[i]));
	}
	SYS(close(listener));
}

void test(void)
{
	check_shared(false);
}
