/* SPDX-License-Identifier: MIT */
/*
 * A thread that ends leaves its channel to nobody: a thread that comes after
 * it, at the same address, isn't taken for it.
 */
#include <pthread.h>

#include "check.h"

#define THREADS 20

static struct mp_channel *ch;
static struct mp_handle *h;
static int pair[2];
static _Thread_local char mark;
static char *owner, *latest;

static void *own(void *arg)
{
	(void)arg;
	owner = &mark;
	ch = make_channel();
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_recv(h), 0);
	EXPECT_NONE(ch);
	return NULL;
}

static void *come_after(void *with_channel)
{
	struct mp_channel *mine = with_channel ? make_channel() : NULL;
	struct mp_event ev;

	latest = &mark;
	CHECK_IS(mp_dispatch(ch, &ev, 0), -EPERM);
	CHECK_IS(mp_pending(ch), -EPERM);
	CHECK_IS(mp_write(h, "x", 1), -EPERM);
	CHECK_IS(mp_close(h), -EPERM);
	mp_destroy(ch);
	CHECK_IS(mp_flush(ch), -EPERM);
	if (mine)
		mp_destroy(mine);
	return NULL;
}

static void run(void *(*body)(void *), void *arg)
{
	pthread_t thread;

	CHECK_IS(pthread_create(&thread, NULL, body, arg), 0);
	CHECK_IS(pthread_join(thread, NULL), 0);
}

void test(void)
{
	bool was_reused = false;

	unix_pair(pair, SOCK_STREAM);
	run(own, NULL);
	for (int i = 0; i < THREADS; i++) {
		run(come_after, i % 2 ? &pair : NULL);
		was_reused |= latest == owner;
	}
	if (!was_reused)
		skip("the address of a thread's variables doesn't come again");
	CHECK(!readable(pair[1], 0));
}
