/* SPDX-License-Identifier: MIT */
/*
 * A process ends, in one way or another, while a worker reads or writes a disk
 * file for it: neither waits for the other for ever, and nothing is left.
 */
#include <fcntl.h>
#include <signal.h>

#include "channel.h"
#include "machine.h"
#include "processes.h"

#define SIZE (16 << 20)
#define ROUNDS 12

struct scene {
	char path[300];
	int round;
	struct bell busy;
};

/* Its own files, and enough of them that some worker is at work. */
static void be_busy(void *arg)
{
	static char bytes[SIZE];
	struct scene *s = arg;
	int ch = new_channel();
	struct megapipe_completion c;
	struct megapipe_run run = {
		.completions = ADDRESS(&c),
		.max = 1,
	};

	for (int i = 0; i < 3; i++) {
		int fd = SYS(open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
		uint32_t h = add(ch, fd, i);

		ASK(ch, WRITE, h, BYTES(bytes, SIZE));
		ASK(ch, READ, h, BYTES(bytes, SIZE));
	}
	try_run(ch, &run);
	ring(s->busy);
	switch (s->round % 4) {
	case 0: /* the descriptor goes with the process */
		_exit(0);
	case 1: /* ... or before */
		SYS(close(ch));
		_exit(0);
	case 2:
		SYS(execl("/bin/true", "true", NULL));
		break;
	default:
		pause();
	}
}

void test(void)
{
	struct scene s;

	snprintf(s.path, sizeof(s.path), "%s/file", scratch_directory());
	for (s.round = 0; s.round < ROUNDS; s.round++) {
		pid_t child;

		s.busy = new_bell();
		child = start(be_busy, &s);
		await(s.busy);
		if (s.round % 4 == 3) {
			poll(NULL, 0, s.round);
			end(child);
		} else {
			passes(child);
		}
		await_module_users(0);
		for (int i = 0; i < 2; i++)
			SYS(close(s.busy.fds[i]));
	}
}
