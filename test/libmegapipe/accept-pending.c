/* SPDX-License-Identifier: MIT */
/*
 * An accept's pending count says how many accepts were fetched and come next,
 * from memory.
 */
#include "check.h"

#define CLIENTS 64

static uint32_t dispatch_accept(struct mp_channel *ch)
{
	struct mp_event ev = NEXT(ch);

	CHECK(ev.cmd == MP_ACCEPT && ev.result >= 0);
	SYS(close(ev.result));
	return ev.accept.pending;
}

/* What is pending comes without a system call, one less each time. */
static int dispatch_pending(struct mp_channel *ch, uint32_t pending)
{
	uint64_t crossings = stats_of(ch).crossings;
	int count = pending;

	while (pending > 0) {
		uint32_t now = dispatch_accept(ch);

		CHECK_IS(now, pending - 1);
		pending = now;
	}
	CHECK_IS(stats_of(ch).crossings, crossings);
	return count;
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET), clients[CLIENTS], got = 0,
	    fetches = 0;
	struct mp_handle *h = make_handle(ch, listener);

	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_to(listener);
	wait_queued(listener, CLIENTS);
	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	for (; got < CLIENTS; fetches++)
		got += 1 + dispatch_pending(ch, dispatch_accept(ch));
	CHECK_IS(got, CLIENTS);
	CHECK(fetches < CLIENTS / 2);
	for (int i = 0; i < CLIENTS; i++)
		SYS(close(clients[i]));
	mp_destroy(ch);
	SYS(close(listener));
}
