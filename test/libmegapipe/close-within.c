/* SPDX-License-Identifier: MIT */
/*
 * Ten clients ask for 20 MB and read nothing: closing with a bound gives up on
 * them, resets their connections and has handles, descriptors and memory back.
 * A peer that takes everything in time gets everything.
 */
#include <pthread.h>

#include "check.h"

#define CLIENTS 10
#define SIZE (20 << 20)

static struct mp_channel *ch;
static int listener;
static char *bytes;

struct client {
	int fd;
	struct mp_handle *h;
	int events;
};

static void make_clients(struct client *clients, bool is_lwsocket)
{
	struct mp_handle *accepting = make_handle(ch, listener);

	CHECK_IS(mp_accept(accepting, CLIENTS, is_lwsocket), 0);
	for (int i = 0; i < CLIENTS; i++) {
		clients[i].fd = connect_to(listener);
		clients[i].h = make_handle(ch, NEXT(ch).result);
		clients[i].events = 0;
	}
	CHECK_IS(mp_unregister(accepting), 0);
}

static struct client *client_of(struct client *clients, struct mp_handle *h)
{
	for (int i = 0; i < CLIENTS; i++)
		if (clients[i].h == h)
			return &clients[i];
	fail(__FILE__, __LINE__, "an event of an unknown handle");
}

/* In each connection's order: the writes, then the close. */
static void expect_given_up(struct client *clients)
{
	for (int left = 3 * CLIENTS; left > 0; left--) {
		struct mp_event ev = NEXT(ch);
		bool is_last = client_of(clients, ev.handle)->events++ == 2;

		CHECK_IS(ev.cmd, is_last ? MP_CLOSE : MP_WRITE);
		CHECK_IS(ev.result, is_last ? -ETIMEDOUT : -ECANCELED);
	}
}

static void expect_reset(int fd)
{
	static char room[1 << 16];
	ssize_t got;

	do
		got = recv(fd, room, sizeof(room), 0);
	while (got > 0);
	CHECK_IS(got, -1);
	CHECK_IS(errno, ECONNRESET);
	SYS(close(fd));
}

static void check_nobody_reads(bool is_lwsocket)
{
	struct client clients[CLIENTS];
	int fds = open_fds();

	make_clients(clients, is_lwsocket);
	for (int i = 0; i < CLIENTS; i++) {
		CHECK_IS(mp_write(clients[i].h, bytes, SIZE), 0);
		CHECK_IS(mp_write(clients[i].h, "end", 3), 0);
		if (i % 2) /* some have read, too */
			CHECK_IS(mp_recv(clients[i].h), 0);
	}
	EXPECT_NONE(ch);
	for (int i = 1; i < CLIENTS; i += 2)
		send_all(clients[i].fd, "?", 1);
	for (int i = 1; i < CLIENTS; i += 2) {
		struct mp_event ev = NEXT(ch);

		CHECK_IS(ev.cmd, MP_RECV);
		CHECK_IS(mp_release(ch, &ev), 0);
	}
	for (int i = 0; i < CLIENTS; i++)
		CHECK_IS(mp_close_within(clients[i].h, 1000), 0);
	expect_given_up(clients);
	EXPECT_NONE(ch);
	CHECK_IS(stats_of(ch).handles, 0);
	CHECK_IS(stats_of(ch).lwsockets, 0);
	for (int i = 0; i < CLIENTS; i++)
		expect_reset(clients[i].fd);
	CHECK_IS(open_fds(), fds);
}

static void check_in_time(bool is_lwsocket)
{
	struct client clients[CLIENTS];
	char *room = malloc(SIZE);

	make_clients(clients, is_lwsocket);
	for (int i = 0; i < CLIENTS; i++) {
		CHECK_IS(mp_write(clients[i].h, bytes, 100), 0);
		CHECK_IS(mp_close_within(clients[i].h, PATIENCE_US), 0);
	}
	for (int i = 0; i < 2 * CLIENTS; i++) {
		struct mp_event ev = NEXT(ch);

		CHECK_IS(ev.result, ev.cmd == MP_WRITE ? 100 : 0);
	}
	for (int i = 0; i < CLIENTS; i++) {
		receive_all(clients[i].fd, room, 100);
		receive_end(clients[i].fd);
		SYS(close(clients[i].fd));
	}
	free(room);
	CHECK_IS(stats_of(ch).handles, 0);
}

static void *read_all(void *fd)
{
	static char room[1 << 16];

	for (size_t done = 0; done < SIZE;) {
		size_t left = SIZE - done;
		size_t size = left < sizeof(room) ? left : sizeof(room);

		receive_all(*(int *)fd, room, size);
		check_filled(room, size, done);
		done += size;
	}
	receive_end(*(int *)fd);
	return NULL;
}

/* Its reader is slower than the others, and in time. */
static void check_reader(void)
{
	struct mp_handle *h;
	pthread_t reader;
	int pair[2];

	tcp_pair(pair);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_write(h, bytes, SIZE), 0);
	CHECK_IS(mp_close_within(h, PATIENCE_US), 0);
	EXPECT_NONE(ch);
	CHECK_IS(pthread_create(&reader, NULL, read_all, &pair[1]), 0);
	EXPECT(ch, h, MP_WRITE, SIZE);
	EXPECT(ch, h, MP_CLOSE, 0);
	CHECK_IS(pthread_join(reader, NULL), 0);
	SYS(close(pair[1]));
}

static void check_arguments(void)
{
	struct mp_handle *h;
	int pair[2];

	tcp_pair(pair);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_close_within(h, -2), -EINVAL);
	CHECK_IS(mp_close_within(NULL, 0), -EINVAL);
	CHECK_IS(mp_write(h, bytes, SIZE), 0);
	CHECK_IS(mp_close_within(h, INT64_MAX), 0);
	CHECK_IS(mp_close_within(h, 0), -EBADF);
	EXPECT_NONE(ch);
	reset(pair[1]);
	CHECK(NEXT(ch).result < 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	CHECK_IS(mp_close_within(h, 0), -EBADF);
}

/* A write that stands still and would be given up: the handle can leave. */
static void check_unregister(void)
{
	struct mp_handle *h;
	int pair[2];

	tcp_pair(pair);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_write(h, bytes, SIZE), 0);
	CHECK_IS(mp_close_within(h, QUIET_US / 2), 0);
	CHECK_IS(mp_unregister(h), 0);
	EXPECT_NONE(ch);
	CHECK_IS(stats_of(ch).handles, 0);
	SYS(close(pair[1]));
}

void test(void)
{
	ch = make_channel();
	listener = listen_tcp(AF_INET);
	bytes = malloc(SIZE);
	fill(bytes, SIZE, 0);
	for (int i = 0; i < 2; i++) {
		check_nobody_reads(i);
		check_in_time(i);
	}
	check_reader();
	check_arguments();
	check_unregister();
	mp_destroy(ch);
	free(bytes);
	SYS(close(listener));
}
