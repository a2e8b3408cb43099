/* SPDX-License-Identifier: MIT */
/*
 * Of those who accept from one listener the kernel may wake just one for each
 * connection. If that one stops before it has accepted, in whatever way, who
 * stays accepts: nobody else has to come first.
 */
#include <poll.h>

#include "check.h"

#define ROUNDS 20
#define CLIENTS 3

typedef void way(struct mp_channel *ch, struct mp_handle *h);

static void by_count(struct mp_channel *ch, struct mp_handle *h)
{
	struct mp_event ev;

	CHECK_IS(mp_accept(h, 0, false), 0);
	CHECK_IS(mp_dispatch(ch, &ev, 1000), 0);
}

static void by_unregister(struct mp_channel *ch, struct mp_handle *h)
{
	(void)ch;
	CHECK_IS(mp_unregister(h), 0);
}

static void by_close(struct mp_channel *ch, struct mp_handle *h)
{
	struct mp_event ev;

	CHECK_IS(mp_close(h), 0);
	while ((ev = NEXT(ch)).cmd == MP_ACCEPT)
		SYS(close(ev.result));
	CHECK(ev.cmd == MP_CLOSE && ev.result == 0);
}

static void by_destroy(struct mp_channel *ch, struct mp_handle *h)
{
	(void)h;
	mp_destroy(ch);
}

static bool is_any_waiting(int listener)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };

	return SYS(poll(&p, 1, 0)) == 1;
}

static void accept_one(struct mp_channel *ch)
{
	struct mp_event ev = NEXT(ch);

	CHECK(ev.cmd == MP_ACCEPT && ev.result >= 0);
	SYS(close(ev.result));
}

static struct mp_handle *accept_from(struct mp_channel *ch, int fd)
{
	struct mp_handle *h = make_handle(ch, fd);

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	CHECK_IS(mp_flush(ch), 0);
	return h;
}

/* They come while the leaving channel is first in line. */
static void check_round(int listener, int family, way *stop)
{
	struct mp_channel *leaving = make_channel(), *staying = make_channel();
	int fd = SYS(dup(listener)), clients[CLIENTS];
	struct mp_handle *h = accept_from(leaving, fd);

	accept_from(staying, listener);
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = connect_to(listener);
	if (family == AF_INET)
		wait_queued(listener, CLIENTS);
	stop(leaving, h);
	while (is_any_waiting(listener))
		accept_one(staying);
	for (int i = 0; i < CLIENTS; i++)
		SYS(close(clients[i]));
	if (stop != by_destroy)
		mp_destroy(leaving);
	if (stop != by_close)
		SYS(close(fd));
	mp_destroy(staying);
}

/* By a name of the kernel's choice. */
static int listen_unix(void)
{
	const struct sockaddr any = { .sa_family = AF_UNIX };
	int fd = SYS(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	SYS(bind(fd, &any, sizeof(any.sa_family)));
	SYS(listen(fd, CLIENTS));
	return fd;
}

static void check_ways(int listener, int family)
{
	static way *const ways[] = { by_count, by_unregister, by_close,
				     by_destroy };

	for (unsigned int i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		for (int round = 0; round < ROUNDS; round++)
			check_round(listener, family, ways[i]);
	SYS(close(listener));
}

void test(void)
{
	check_ways(listen_tcp(AF_INET), AF_INET);
	check_ways(listen_unix(), AF_UNIX);
}
