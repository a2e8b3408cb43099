/* SPDX-License-Identifier: MIT */
/*
 * Connections reset before they are accepted do no harm; those after them are
 * served.
 */
#include "check.h"

#define RESETS 20

static bool is_dead(struct mp_channel *ch, int id)
{
	struct mp_handle *h = make_handle(ch, id);
	char text[8];
	struct mp_event ev;

	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	ev = NEXT(ch);
	CHECK_IS(mp_unregister(h), 0);
	if (id < MP_LWSOCKET_BASE)
		SYS(close(id));
	CHECK(ev.result <= 0 || ev.result == 5);
	return ev.result <= 0;
}

/* What is accepted of the connections, at least the live one. */
static int accept_all(struct mp_channel *ch, int ids[RESETS + 1])
{
	struct mp_event ev;
	int count = 0;

	while (mp_dispatch(ch, &ev, QUIET_US) == 1) {
		CHECK(ev.cmd == MP_ACCEPT && ev.result >= 0);
		CHECK(count <= RESETS);
		ids[count++] = ev.result;
	}
	return count;
}

static void check_resets(struct mp_channel *ch, bool is_lwsocket)
{
	int listener = listen_tcp(AF_INET), ids[RESETS + 1], client, alive = 0;
	struct mp_handle *h = make_handle(ch, listener);

	for (int i = 0; i < RESETS; i++)
		reset(connect_to(listener));
	client = connect_to(listener);
	send_all(client, "hello", 5);
	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, is_lwsocket), 0);
	for (int i = accept_all(ch, ids) - 1; i >= 0; i--)
		alive += !is_dead(ch, ids[i]);
	CHECK_IS(alive, 1);
	receive_end(client);
	SYS(close(client));
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(listener));
}

void test(void)
{
	struct mp_channel *ch = make_channel();

	check_resets(ch, false);
	check_resets(ch, true);
	CHECK_IS(stats_of(ch).lwsockets, 0);
	mp_destroy(ch);
}
