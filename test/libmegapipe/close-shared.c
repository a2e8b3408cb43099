/* SPDX-License-Identifier: MIT */
/*
 * Of those who accept from one listener the kernel may wake just one for a
 * connection. If that one closes its handle then, the connection is still
 * accepted: by it, or by who stays.
 */
#include <fcntl.h>

#include "check.h"

#define ROUNDS 50

/* How many connections come until MP_CLOSE. */
static int close_listener(struct mp_channel *ch, struct mp_handle *h, int fd)
{
	struct mp_event ev;
	int accepted = 0;

	CHECK_IS(mp_close(h), 0);
	while ((ev = NEXT(ch)).cmd == MP_ACCEPT) {
		SYS(close(ev.result));
		accepted++;
	}
	CHECK(ev.cmd == MP_CLOSE && ev.result == 0);
	CHECK(fcntl(fd, F_GETFD) < 0);
	return accepted;
}

static int accepted_by(struct mp_channel *ch, int64_t timeout_us)
{
	struct mp_event ev;
	int count = 0;

	for (; mp_dispatch(ch, &ev, timeout_us) == 1; count++) {
		CHECK(ev.cmd == MP_ACCEPT && ev.result >= 0);
		SYS(close(ev.result));
		timeout_us = 0;
	}
	return count;
}

static struct mp_handle *accept_from(struct mp_channel *ch, int fd)
{
	struct mp_handle *h = make_handle(ch, fd);

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	CHECK_IS(mp_flush(ch), 0);
	return h;
}

static void check_round(int listener)
{
	struct mp_channel *leaving = make_channel(), *staying = make_channel();
	int fd = SYS(dup(listener)), client, accepted;
	struct mp_handle *h = accept_from(leaving, fd); /* first in line */

	accept_from(staying, listener);
	client = connect_to(listener);
	accepted = close_listener(leaving, h, fd);
	if (!accepted)
		accepted = accepted_by(staying, 10000000);
	CHECK_IS(accepted, 1);
	SYS(close(client));
	mp_destroy(leaving);
	mp_destroy(staying);
}

void test(void)
{
	int listener = listen_tcp(AF_INET);

	for (int i = 0; i < ROUNDS; i++)
		check_round(listener);
	SYS(close(listener));
}
