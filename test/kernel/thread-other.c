/* SPDX-License-Identifier: MIT */
/* A channel is its thread's alone; other threads are refused. */
#include <pthread.h>

#include "channel.h"

static int ch;
static uint32_t h;

static void *use(void *arg)
{
	struct megapipe_run run = { .timeout_ns = PATIENCE_NS };
	struct megapipe_info info;
	uint32_t handle;

	CHECK_IS(try_run(ch, &run), -EPERM);
	CHECK_IS(TRY(ch, CLOSE, h, .arg = -1), -EPERM);
	CHECK_IS(try_add(ch, 0, 1, &handle), -EPERM);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_END, NULL), -EPERM);
	CHECK(try_setup(ch, LWSOCKETS) < 0);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_INFO, &info), 0);
	return arg;
}

/* One that uses a channel first and is gone: it is nobody's then. */
static void *make(void *arg)
{
	int *made = arg;

	struct megapipe_run run = { 0 };

	*made = new_channel();
	CHECK_IS(try_run(*made, &run), 0);
	return NULL;
}

/* A channel is made by one thread, and used by another, whose it is then. */
static void *use_first(void *arg)
{
	struct megapipe_run run = { 0 };

	CHECK_IS(try_run(*(int *)arg, &run), 0);
	return arg;
}

static void run_thread(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	CHECK_IS(pthread_create(&thread, NULL, run, arg), 0);
	CHECK_IS(pthread_join(thread, NULL), 0);
}

static void *close_it(void *arg)
{
	SYS(close(ch));
	return arg;
}

void test(void)
{
	int pair[2], made;
	struct megapipe_run run = { 0 };

	ch = new_channel();
	unix_pair(pair, SOCK_STREAM);
	h = add(ch, pair[0], 1);
	run_thread(use, NULL);
	check_echo(ch, h, 1, pair[1]);
	run_thread(make, &made);
	CHECK_IS(try_run(made, &run), -EPERM);
	SYS(close(made));
	made = new_channel();
	run_thread(use_first, &made);
	CHECK_IS(try_run(made, &run), -EPERM);
	SYS(close(made));
	/* closing is everybody's, though */
	run_thread(close_it, NULL);
	CHECK_IS(try_run(ch, &run), -EBADF);
}
