/* SPDX-License-Identifier: MIT */
/*
 * 1,024 small requests over 256 connections: batch 32 takes at most a tenth of
 * the system calls of batch 1. Engine epoll makes a system call for each
 * operation anyway; there the pushes are counted.
 */
#include "check.h"

#define CONNECTIONS 256
#define ROUNDS 4
#define SIZE 16

static int pairs[CONNECTIONS][2];
static struct mp_handle *handles[CONNECTIONS];

static void ask_all(struct mp_channel *ch)
{
	for (int i = 0; i < CONNECTIONS; i++)
		send_all(pairs[i][1], "0123456789abcdef", SIZE);
	for (int replies = 0; replies < CONNECTIONS;) {
		struct mp_event ev = NEXT(ch);

		CHECK_IS(ev.result, SIZE);
		if (ev.cmd == MP_RECV) {
			CHECK_IS(mp_write(ev.handle, "fedcba9876543210", SIZE),
				 0);
			CHECK_IS(mp_recv(ev.handle), 0);
			CHECK_IS(mp_release(ch, &ev), 0);
		}
		replies += ev.cmd == MP_WRITE;
	}
	for (int i = 0; i < CONNECTIONS; i++) {
		char reply[SIZE];

		receive_all(pairs[i][1], reply, SIZE);
	}
}

static struct mp_stats serve(unsigned int batch)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .batch = batch });
	struct mp_stats before, after;

	for (int i = 0; i < CONNECTIONS; i++) {
		tcp_pair(pairs[i]);
		handles[i] = make_handle(ch, pairs[i][0]);
		CHECK_IS(mp_recv(handles[i]), 0);
	}
	EXPECT_NONE(ch);
	before = stats_of(ch);
	for (int i = 0; i < ROUNDS; i++)
		ask_all(ch);
	after = stats_of(ch);
	mp_destroy(ch);
	for (int i = 0; i < CONNECTIONS; i++) {
		SYS(close(pairs[i][0]));
		SYS(close(pairs[i][1]));
	}
	after.crossings -= before.crossings;
	after.flushes -= before.flushes;
	return after;
}

void test(void)
{
	struct mp_stats one = serve(1), batched = serve(32);

	printf("crossings %llu and %llu, flushes %llu and %llu\n",
	       (unsigned long long)one.crossings,
	       (unsigned long long)batched.crossings,
	       (unsigned long long)one.flushes,
	       (unsigned long long)batched.flushes);
	CHECK(one.flushes >= ROUNDS * CONNECTIONS);
	CHECK(batched.flushes * 10 <= one.flushes);
	if (strcmp(engine, "epoll") != 0) {
		CHECK(one.crossings >= ROUNDS * CONNECTIONS);
		CHECK(batched.crossings * 10 <= one.crossings);
	}
}
