/* SPDX-License-Identifier: MIT */
/*
 * A listener that has just become ready, for connections and for mp_poll(),
 * closes in the same round, as the last or with others behind it.
 */
#include <poll.h>

#include "check.h"

#define CLIENTS 3

static struct mp_channel *ch;

static struct mp_handle *listen_and_poll(int *fd, const cpu_set_t *mask)
{
	struct mp_handle *h;

	*fd = listen_tcp(AF_INET);
	CHECK_IS(mp_register(ch, *fd, NULL, mask, &h), 0);
	CHECK_IS(mp_poll(h, POLLIN), 0);
	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	return h;
}

static void expect_closed(struct mp_handle *h)
{
	struct mp_event ev;

	for (;;) {
		ev = NEXT(ch);
		CHECK(ev.handle == h);
		if (ev.cmd == MP_CLOSE)
			break;
		if (ev.cmd == MP_ACCEPT)
			SYS(close(ev.result));
	}
	CHECK_IS(ev.result, 0);
}

/* All of it asked for in one batch. */
static void check_at_once(const cpu_set_t *mask)
{
	int fd;
	struct mp_handle *h = listen_and_poll(&fd, mask);

	CHECK_IS(mp_close(h), 0);
	expect_closed(h);
}

static void check_ready(const cpu_set_t *mask, bool dispatch)
{
	int fd, clients[CLIENTS];
	struct mp_handle *h = listen_and_poll(&fd, mask);
	struct mp_event ev;

	CHECK_IS(mp_dispatch(ch, &ev, 0), 0);
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_to(fd);
	if (dispatch) {
		ev = NEXT(ch);
		if (ev.cmd == MP_ACCEPT)
			SYS(close(ev.result));
	}
	CHECK_IS(mp_close(h), 0);
	expect_closed(h);
	for (int i = 0; i < CLIENTS; i++)
		SYS(close(clients[i]));
}

void test(void)
{
	cpu_set_t all;
	int cpus[CPU_SETSIZE], n = allowed_cpus(cpus, CPU_SETSIZE);

	ch = make_channel();
	CPU_ZERO(&all);
	for (int i = 0; i < n; i++)
		CPU_SET(cpus[i], &all);
	for (int i = 0; i < 3; i++) {
		check_at_once(NULL);
		check_ready(NULL, false);
		check_ready(NULL, true);
		if (!engine_has("partition"))
			continue;
		check_at_once(&all);
		check_ready(&all, false);
		check_ready(&all, true);
	}
	mp_destroy(ch);
}
