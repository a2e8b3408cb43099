/* SPDX-License-Identifier: MIT */
/*
 * A server that is started as soon as the one before it has ended has all the
 * room that this had, though the kernel gives it back late.
 */
#include <signal.h>
#include <sys/wait.h>

#include "check.h"
#include "memlock.h"

#define LIMIT (64 * 1024)
#define FITTING 2

static void make_all(void)
{
	for (int i = 0; i < FITTING; i++) {
		struct mp_channel *ch = make_channel();

		CHECK_IS(stats_of(ch).completion_entries,
			 MP_COMPLETIONS_DEFAULT);
	}
}

/* The channels end with the process. */
static void live_and_die(void)
{
	pid_t child = SYS(fork());
	int status;

	if (!child) {
		make_all();
		raise(SIGKILL);
	}
	SYS(waitpid(child, &status, 0));
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

void test(void)
{
	limit_memlock(LIMIT);
	for (int i = 0; i < 10; i++)
		live_and_die();
}
