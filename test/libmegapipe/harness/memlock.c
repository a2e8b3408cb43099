/* SPDX-License-Identifier: MIT */
/* For tests of RLIMIT_MEMLOCK, which counts per user. */
#include <sys/resource.h>
#include <sys/wait.h>

#include "check.h"
#include "memlock.h"

/* Above those that distributions and containers give to people. */
#define USERS 1000000000

/* Tried out in a process of its own, which has no other room either. */
static bool counts_rings(void)
{
	static const struct rlimit none;
	struct mp_options options = { .size = sizeof(options),
				      .engine = engine };
	struct mp_channel *ch;
	pid_t child = SYS(fork());
	int status;

	if (!child) {
		SYS(setrlimit(RLIMIT_MEMLOCK, &none));
		_exit(mp_create(&options, &ch) == -ENOMEM);
	}
	SYS(waitpid(child, &status, 0));
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

void limit_memlock(unsigned long bytes)
{
	const struct rlimit limit = { bytes, bytes };
	uid_t user = USERS + getpid();

	if (strcmp(engine, "uring"))
		skip("engine %s locks no memory", engine);
	if (geteuid())
		skip("needs root, to become a user whom nobody else is");
	SYS(setrlimit(RLIMIT_MEMLOCK, &limit));
	SYS(setresgid(user, user, user));
	SYS(setresuid(user, user, user));
	if (!counts_rings())
		skip("this kernel doesn't count rings as locked memory");
}
