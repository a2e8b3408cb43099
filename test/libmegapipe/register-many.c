/* SPDX-License-Identifier: MIT */
/* Handles by the thousand come and go; each event has its own cookie. */
#include "check.h"

#define PAIRS 2000

static int pairs[PAIRS][2];
static char bytes[PAIRS];

static void use(struct mp_event ev)
{
	CHECK_IS(ev.result, 1);
	CHECK_IS(*(char *)ev.cookie, 'y');
	*(char *)ev.cookie = 'n';
	CHECK_IS(mp_handle_id(ev.handle), pairs[(char *)ev.cookie - bytes][0]);
	CHECK_IS(mp_close(ev.handle), 0);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h;

	if (!limit_fds(2 * PAIRS + 100))
		skip("RLIMIT_NOFILE can't be raised to %d", 2 * PAIRS + 100);
	for (int i = 0; i < PAIRS; i++) {
		unix_pair(pairs[i], SOCK_STREAM);
		CHECK_IS(mp_register(ch, pairs[i][0], &bytes[i], NULL, &h), 0);
		CHECK_IS(mp_read(h, &bytes[i], 1), 0);
	}
	CHECK_IS(stats_of(ch).handles, PAIRS);
	for (int i = PAIRS - 1; i >= 0; i--)
		send_all(pairs[i][1], "y", 1);
	for (int closed = 0; closed < PAIRS;) {
		struct mp_event ev = NEXT(ch);

		if (ev.cmd == MP_READ)
			use(ev);
		else
			CHECK_IS(ev.cmd, MP_CLOSE);
		closed += ev.cmd == MP_CLOSE;
	}
	EXPECT_NONE(ch);
	CHECK_IS(stats_of(ch).handles, 0);
	mp_destroy(ch);
}
