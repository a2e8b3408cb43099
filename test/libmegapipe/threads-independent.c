/* SPDX-License-Identifier: MIT */
/*
 * Channels of several threads work side by side, each on its own connections.
 */
#include <pthread.h>

#include "check.h"

#define THREADS 4
#define ROUNDS 2000

static void *ping_pong(void *arg)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *handles[2];
	uint64_t sent = (uintptr_t)arg, got;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	for (int i = 0; i < 2; i++)
		handles[i] = make_handle(ch, pair[i]);
	for (int i = 0; i < ROUNDS; i++, sent += THREADS) {
		CHECK_IS(mp_write(handles[i % 2], &sent, sizeof(sent)), 0);
		CHECK_IS(mp_read(handles[!(i % 2)], &got, sizeof(got)), 0);
		CHECK_IS(NEXT(ch).result, sizeof(got));
		CHECK_IS(NEXT(ch).result, sizeof(got));
		CHECK_IS(got, sent);
	}
	mp_destroy(ch);
	for (int i = 0; i < 2; i++)
		SYS(close(pair[i]));
	return NULL;
}

void test(void)
{
	pthread_t threads[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK_IS(pthread_create(&threads[i], NULL, ping_pong,
					(void *)i),
			 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_IS(pthread_join(threads[i], NULL), 0);
}
