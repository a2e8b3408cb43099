/* SPDX-License-Identifier: MIT */
/*
 * A received buffer stays the caller's when its handle is closed or
 * unregistered.
 */
#include "check.h"

static struct mp_event received(struct mp_channel *ch, int pair[2],
				uint64_t place)
{
	struct mp_handle *h;
	char bytes[200];

	tcp_pair(pair);
	h = make_handle(ch, pair[0]);
	fill(bytes, sizeof(bytes), place);
	send_all(pair[1], bytes, sizeof(bytes));
	CHECK_IS(mp_recv(h), 0);
	return EXPECT(ch, h, MP_RECV, sizeof(bytes));
}

static void use_other_buffer(struct mp_channel *ch)
{
	int pair[2];
	struct mp_event ev = received(ch, pair, 77777);

	CHECK_IS(mp_release(ch, &ev), 0);
	CHECK_IS(mp_close(ev.handle), 0);
	EXPECT(ch, ev.handle, MP_CLOSE, 0);
	SYS(close(pair[1]));
}

void test(void)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .buffers = 4 });
	int closed[2], unregistered[2];
	struct mp_event a = received(ch, closed, 100),
			b = received(ch, unregistered, 1000);

	CHECK_IS(mp_close(a.handle), 0);
	EXPECT(ch, a.handle, MP_CLOSE, 0);
	CHECK_IS(mp_unregister(b.handle), 0);
	for (int i = 0; i < 20; i++)
		use_other_buffer(ch);
	check_filled(a.recv.data, a.result, 100);
	check_filled(b.recv.data, b.result, 1000);
	CHECK_IS(stats_of(ch).buffers_held, 2);
	CHECK_IS(mp_release(ch, &b), 0);
	CHECK_IS(mp_release(ch, &a), 0);
	CHECK_IS(stats_of(ch).buffers_held, 0);
	mp_destroy(ch);
	SYS(close(closed[1]));
	SYS(close(unregistered[0]));
	SYS(close(unregistered[1]));
}
