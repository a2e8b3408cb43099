/* SPDX-License-Identifier: MIT */
/* A wait for ever ends when another thread writes to a registered eventfd. */
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>

#include "check.h"

#define WAKEUPS 20

static void *wake(void *fd)
{
	const struct timespec pause = { .tv_nsec = 3 * 1000 * 1000 };
	const uint64_t one = 1;

	for (int i = 0; i < WAKEUPS; i++) {
		nanosleep(&pause, NULL);
		send_all(*(int *)fd, &one, sizeof(one));
	}
	return NULL;
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int fd = SYS(eventfd(0, EFD_CLOEXEC));
	struct mp_handle *h = make_handle(ch, fd);
	struct mp_event ev;
	pthread_t waker;

	CHECK_IS(pthread_create(&waker, NULL, wake, &fd), 0);
	for (uint64_t woken = 0, count; woken < WAKEUPS; woken += count) {
		CHECK_IS(mp_read(h, &count, sizeof(count)), 0);
		CHECK_IS(mp_dispatch(ch, &ev, -1), 1);
		CHECK(ev.cmd == MP_READ && ev.result == sizeof(count));
	}
	CHECK_IS(pthread_join(waker, NULL), 0);
	mp_destroy(ch);
	SYS(close(fd));
}
