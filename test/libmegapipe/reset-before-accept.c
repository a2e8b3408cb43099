/* SPDX-License-Identifier: MIT */
/*
 * Connections reset before they are accepted do no harm; those after them are
 * served.
 */
#include "check.h"

#define RESETS 20

static char texts[RESETS + 1][8];
static int accepted, ended;

/* Accepted ones are read from, to their end; true: this was the live one. */
static bool handle(struct mp_channel *ch, struct mp_event ev)
{
	int id;

	if (ev.cmd == MP_ACCEPT) {
		CHECK(ev.result >= 0 && accepted <= RESETS);
		CHECK_IS(mp_read(make_handle(ch, ev.result), texts[accepted++],
				 sizeof(texts[0])),
			 0);
		return false;
	}
	CHECK(ev.cmd == MP_READ && (ev.result <= 0 || ev.result == 5));
	id = mp_handle_id(ev.handle);
	CHECK_IS(mp_unregister(ev.handle), 0);
	if (id < MP_LWSOCKET_BASE)
		SYS(close(id));
	ended++;
	return ev.result == 5;
}

/* How many live ones there are, the last of all being one of them. */
static int serve(struct mp_channel *ch)
{
	struct mp_event ev;
	int alive = 0;

	accepted = ended = 0;
	for (;;) {
		while (alive == 0 || ended < accepted)
			alive += handle(ch, NEXT(ch));
		if (mp_dispatch(ch, &ev, QUIET_US) != 1)
			return alive;
		alive += handle(ch, ev);
	}
}

static void check_resets(struct mp_channel *ch, bool is_lwsocket)
{
	int listener = listen_tcp(AF_INET), client;
	struct mp_handle *h = make_handle(ch, listener);

	for (int i = 0; i < RESETS; i++)
		reset(connect_to(listener));
	client = connect_to(listener);
	send_all(client, "hello", 5);
	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, is_lwsocket), 0);
	CHECK_IS(serve(ch), 1);
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
