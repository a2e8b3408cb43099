/* SPDX-License-Identifier: MIT */
/*
 * Leaving the channel at random moments under steady traffic: no event comes
 * after, and the file can be registered again at once.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "check.h"

#define ROUNDS 1500

static atomic_bool over;

static void *talk(void *fd)
{
	char bytes[700] = { 0 };

	while (!over)
		(void)!send(*(int *)fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
	return NULL;
}

static void *listen_to(void *fd)
{
	char bytes[5000];

	while (read(*(int *)fd, bytes, sizeof(bytes)) > 0)
		;
	return NULL;
}

static void ask_some(struct mp_handle *h, unsigned int *seed)
{
	static char room[3][900], out[20000];

	for (int i = 0; i < 3; i++)
		CHECK_IS(rand_r(seed) % 2 ?
				 mp_recv(h) :
				 mp_read(h, room[i], sizeof(room[i])),
			 0);
	CHECK_IS(mp_write(h, out, 1 + rand_r(seed) % sizeof(out)), 0);
}

static void dispatch_some(struct mp_channel *ch, struct mp_handle *h, int most)
{
	struct mp_event ev;

	while (most-- > 0 && mp_dispatch(ch, &ev, 100) == 1) {
		CHECK(ev.handle == h);
		CHECK(ev.result > 0);
		if (ev.cmd == MP_RECV)
			CHECK_IS(mp_release(ch, &ev), 0);
	}
}

void test(void)
{
	struct mp_channel *ch = make_channel_with(
		(struct mp_options){ .buffers = 4, .buffer_size = 300 });
	pthread_t talker, listener;
	unsigned int seed = 7;
	int pair[2];

	tcp_pair(pair);
	CHECK_IS(pthread_create(&talker, NULL, talk, &pair[1]), 0);
	CHECK_IS(pthread_create(&listener, NULL, listen_to, &pair[1]), 0);
	for (int i = 0; i < ROUNDS; i++) {
		struct mp_handle *h = make_handle(ch, pair[0]);

		ask_some(h, &seed);
		dispatch_some(ch, h, rand_r(&seed) % 6);
		CHECK_IS(mp_unregister(h), 0);
	}
	over = true;
	SYS(shutdown(pair[1], SHUT_RDWR));
	CHECK_IS(pthread_join(talker, NULL), 0);
	CHECK_IS(pthread_join(listener, NULL), 0);
	EXPECT_NONE(ch);
	CHECK_IS(stats_of(ch).buffers_held, 0);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
