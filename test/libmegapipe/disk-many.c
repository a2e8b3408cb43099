/* SPDX-License-Identifier: MIT */
/*
 * Many reads and writes of disk files at a time, from several channels: each
 * gets its own bytes, in order where they are of one lane. Children that are
 * made meanwhile don't matter, and one made later can do the same.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

#include "check.h"

#define CHANNELS 3
#define HANDLES 8
#define ROUNDS 20
#define SIZE 3000
#define CHILDREN 20

struct slot {
	struct mp_handle *h;
	char written[SIZE];
	char read[SIZE];
	int ended;
};

static int open_file(void)
{
	char path[300];
	static int number;

	snprintf(path, sizeof(path), "%s/file%d", scratch_directory(),
		 __atomic_fetch_add(&number, 1, __ATOMIC_RELAXED));
	return SYS(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

static void ask(struct slot *slot, int round)
{
	fill(slot->written, SIZE, round);
	for (int part = 0; part < 3; part++)
		CHECK_IS(mp_write(slot->h, slot->written + part * SIZE / 3,
				  SIZE / 3),
			 0);
}

/* The writes of a round, then a read of what they wrote. */
static void go_on(struct slot *slot, const struct mp_event *ev, int round)
{
	slot->ended++;
	if (ev->cmd == MP_READ) {
		CHECK_IS(ev->result, SIZE);
		check_filled(slot->read, SIZE, round);
		return;
	}
	CHECK_IS(ev->result, SIZE / 3);
	if (slot->ended == 3)
		CHECK_IS(mp_pread(slot->h, slot->read, SIZE,
				  (off_t)round * SIZE),
			 0);
}

static void *run(void *arg)
{
	struct slot *slots = calloc(HANDLES, sizeof(*slots));
	struct mp_channel *ch = make_channel();

	(void)arg;
	CHECK(slots != NULL);
	for (int i = 0; i < HANDLES; i++)
		CHECK_IS(mp_register(ch, open_file(), &slots[i], NULL,
				     &slots[i].h),
			 0);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < HANDLES; i++) {
			slots[i].ended = 0;
			ask(&slots[i], round);
		}
		for (int n = 0; n < 4 * HANDLES; n++) {
			struct mp_event ev = NEXT(ch);

			go_on(ev.cookie, &ev, round);
		}
	}
	for (int i = 0; i < HANDLES; i++)
		CHECK_IS(mp_pread(slots[i].h, slots[i].read, SIZE, 0), 0);
	mp_destroy(ch);
	free(slots);
	return NULL;
}

static void *fork_children(void *arg)
{
	for (int i = 0; i < CHILDREN; i++) {
		pid_t child = SYS(fork());

		if (child == 0)
			_exit(0);
		child_passes(child);
	}
	return arg;
}

/* While there are threads in the pool, of which it has none. */
static void check_child(void)
{
	pid_t child = SYS(fork());

	if (child == 0) {
		run(NULL);
		_exit(0);
	}
	child_passes(child);
}

void test(void)
{
	pthread_t threads[CHANNELS], forker;

	scratch_directory();
	CHECK_IS(pthread_create(&forker, NULL, fork_children, NULL), 0);
	for (int i = 0; i < CHANNELS; i++)
		CHECK_IS(pthread_create(&threads[i], NULL, run, NULL), 0);
	for (int i = 0; i < CHANNELS; i++)
		pthread_join(threads[i], NULL);
	pthread_join(forker, NULL);
	check_child();
}
