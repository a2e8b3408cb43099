/* SPDX-License-Identifier: MIT */
/*
 * An lwsocket turns into an fd in the midst of a stream: not a byte is lost or
 * told twice.
 */
#include <pthread.h>

#include "check.h"

#define ROUNDS 40
#define TOTAL 200000

static void *send_everything(void *fd)
{
	char *bytes = malloc(TOTAL);

	fill(bytes, TOTAL, 0);
	for (size_t done = 0; done < TOTAL; done += 500)
		send_all(*(int *)fd, bytes + done, 500);
	free(bytes);
	return NULL;
}

/* Receives some, then until the lwsocket lets go. */
static int turn(struct mp_channel *ch, struct mp_handle *h, size_t *received,
		size_t some)
{
	int fd = -EBUSY;

	while (*received < some || (fd = mp_lwsocket_to_fd(h)) == -EBUSY) {
		struct mp_event ev;

		CHECK_IS(mp_recv(h), 0);
		ev = NEXT(ch);
		CHECK(ev.cmd == MP_RECV && ev.result > 0);
		check_filled(ev.recv.data, ev.result, *received);
		*received += ev.result;
		CHECK_IS(mp_release(ch, &ev), 0);
	}
	CHECK(fd >= 0);
	return fd;
}

static void check_stream_of(struct mp_channel *ch, int listener, size_t some)
{
	int client = connect_to(listener), fd;
	struct mp_handle *h = make_handle(ch, NEXT(ch).result);
	char *rest = malloc(TOTAL);
	pthread_t sender;
	size_t received = 0;

	CHECK_IS(pthread_create(&sender, NULL, send_everything, &client), 0);
	fd = turn(ch, h, &received, some);
	receive_all(fd, rest, TOTAL - received);
	check_filled(rest, TOTAL - received, received);
	CHECK_IS(pthread_join(sender, NULL), 0);
	free(rest);
	SYS(close(fd));
	SYS(close(client));
}

void test(void)
{
	struct mp_channel *ch = make_channel_with(
		(struct mp_options){ .buffers = 16, .buffer_size = 700 });
	int listener = listen_tcp(AF_INET);

	CHECK_IS(mp_accept(make_handle(ch, listener), MP_ACCEPT_ALL, true), 0);
	for (size_t i = 0; i < ROUNDS; i++)
		check_stream_of(ch, listener, i * TOTAL / ROUNDS);
	CHECK_IS(stats_of(ch).lwsockets, 0);
	mp_destroy(ch);
	SYS(close(listener));
}
