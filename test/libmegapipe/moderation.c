/* SPDX-License-Identifier: MIT */
/*
 * Wake-up moderation delays at most, it loses nothing, and ends waits that
 * nothing interrupts.
 */
#include <pthread.h>
#include <unistd.h>

#include "check.h"

#define PAIRS 20
#define ROUNDS 50
#define LATE 3
#define LATE_US 50000

/* Who speaks when everybody has long been waiting. */
static void *speak_late(void *socket)
{
	usleep(LATE_US);
	send_all(*(int *)socket, "x", 1);
	return NULL;
}

static void check_endless_wait(struct mp_channel *ch, int *socket)
{
	struct mp_event ev;
	pthread_t speaker;

	CHECK_IS(pthread_create(&speaker, NULL, speak_late, socket), 0);
	CHECK_IS(mp_dispatch(ch, &ev, -1), 1);
	CHECK(ev.cmd == MP_RECV && ev.result == 1);
	CHECK_IS(mp_release(ch, &ev), 0);
	CHECK_IS(mp_recv(ev.handle), 0);
	CHECK_IS(pthread_join(speaker, NULL), 0);
}

static void check_round(struct mp_channel *ch, int pairs[][2], int speakers)
{
	for (int i = 0; i < speakers; i++)
		send_all(pairs[i][1], "x", 1);
	for (int i = 0; i < speakers; i++) {
		struct mp_event ev = NEXT(ch);

		CHECK(ev.cmd == MP_RECV && ev.result == 1);
		CHECK_IS(mp_release(ch, &ev), 0);
		CHECK_IS(mp_recv(ev.handle), 0);
	}
}

void test(void)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .moderation_us = 200 });
	struct mp_handle *handles[PAIRS];
	int pairs[PAIRS][2];

	for (int i = 0; i < PAIRS; i++) {
		unix_pair(pairs[i], SOCK_STREAM);
		handles[i] = make_handle(ch, pairs[i][0]);
		CHECK_IS(mp_recv(handles[i]), 0);
	}
	for (int round = 0; round < ROUNDS; round++) {
		check_round(ch, pairs, round % 2 ? PAIRS : 1);
		if (round % 10 == 0)
			EXPECT_NONE(ch);
	}
	/* when batches come, more is waited for than the one that comes late */
	for (int late = 0; late < LATE; late++) {
		for (int round = 0; round < 2 * ROUNDS; round++)
			check_round(ch, pairs, PAIRS);
		check_endless_wait(ch, &pairs[0][1]);
	}
	mp_destroy(ch);
}
