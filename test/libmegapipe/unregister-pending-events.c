/* SPDX-License-Identifier: MIT */
/*
 * Unregistering one handle while handling the event of another: what was
 * fetched for it already isn't delivered, what was fetched for others is.
 */
#include "check.h"

#define PAIRS 32

static int pairs[PAIRS][2];
static struct mp_handle *handles[PAIRS];
static char bytes[PAIRS];

static void fill_batch(struct mp_channel *ch)
{
	for (int i = 0; i < PAIRS; i++) {
		unix_pair(pairs[i], SOCK_STREAM);
		handles[i] = make_handle(ch, pairs[i][0]);
		send_all(pairs[i][1], "xyz", 3);
		CHECK_IS(i % 2 ? mp_recv(handles[i]) :
				 mp_read(handles[i], &bytes[i], 1),
			 0);
		CHECK_IS(mp_write(handles[i], "w", 1), 0);
	}
}

/* Every third handle is gone after the first event of all. */
static bool is_dropped(const struct mp_handle *h)
{
	for (int i = 0; i < PAIRS; i += 3)
		if (h == handles[i])
			return true;
	return false;
}

void test(void)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .buffers = 32 });
	int kept = 0;
	struct mp_event ev;

	fill_batch(ch);
	ev = NEXT(ch);
	if (ev.cmd == MP_RECV)
		CHECK_IS(mp_release(ch, &ev), 0);
	for (int i = 0; i < PAIRS; i++) {
		kept += !is_dropped(handles[i]);
		if (is_dropped(handles[i]))
			CHECK_IS(mp_unregister(handles[i]), 0);
	}
	for (int left = 2 * kept - !is_dropped(ev.handle); left > 0; left--) {
		ev = NEXT(ch);
		CHECK(!is_dropped(ev.handle) && ev.result > 0);
		if (ev.cmd == MP_RECV)
			CHECK_IS(mp_release(ch, &ev), 0);
	}
	EXPECT_NONE(ch);
	CHECK_IS(stats_of(ch).buffers_held, 0);
	CHECK_IS(stats_of(ch).handles, kept);
	mp_destroy(ch);
	for (int i = 0; i < PAIRS; i++) {
		SYS(close(pairs[i][0]));
		SYS(close(pairs[i][1]));
	}
}
