/* SPDX-License-Identifier: MIT */
/* mp_poll() and mp_accept() of one listening socket, in either order. */
#include <poll.h>

#include "check.h"

static void take(struct mp_event ev, struct mp_handle *h, bool *is_polled,
		 bool *is_accepted)
{
	CHECK(ev.handle == h);
	if (ev.cmd == MP_POLL) {
		CHECK_IS(ev.result, POLLIN);
		*is_polled = true;
		return;
	}
	CHECK_IS(ev.cmd, MP_ACCEPT);
	CHECK(ev.result >= 0);
	*is_accepted = true;
	SYS(close(ev.result));
}

/*
 * Whether there is still something to accept when the poll looks is a matter of
 * chance: it may need another connection.
 */
static void check_both(struct mp_channel *ch, bool poll_first,
		       bool wait_between)
{
	int fd = listen_tcp(AF_INET), client, tries = 0;
	struct mp_handle *h = make_handle(ch, fd);
	bool is_polled = false, is_accepted = false;
	struct mp_event ev;

	if (poll_first)
		CHECK_IS(mp_poll(h, POLLIN), 0);
	else
		CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	if (wait_between)
		EXPECT_NONE(ch);
	if (poll_first)
		CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	else
		CHECK_IS(mp_poll(h, POLLIN), 0);
	EXPECT_NONE(ch);
	while (!is_accepted || (!is_polled && tries++ < 3)) {
		client = connect_to(fd);
		take(NEXT(ch), h, &is_polled, &is_accepted);
		while (mp_dispatch(ch, &ev, QUIET_US) == 1)
			take(ev, h, &is_polled, &is_accepted);
		SYS(close(client));
	}
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(fd));
}

void test(void)
{
	struct mp_channel *ch = make_channel();

	for (int i = 0; i < 4; i++)
		check_both(ch, i & 1, i & 2);
	mp_destroy(ch);
}
