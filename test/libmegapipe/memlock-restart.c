/* SPDX-License-Identifier: MIT */
/*
 * A server that is started as soon as the one before it has ended has all the
 * room that this had, though the kernel gives it back late.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "memlock.h"

#define LIMIT (64 * 1024)
#define FITTING 2
#define LIVES 10
/* For a kernel that is too busy to give back anything. */
#define TRIES 300
#define TRY_AGAIN_US 100000

/* Exit status of a server that had less room. */
enum { AT_ONCE, LATE, NEVER };

static bool make_one(void)
{
	struct mp_options options = { .size = sizeof(options),
				      .engine = engine };
	struct mp_channel *ch;

	if (mp_create(&options, &ch))
		return false;
	if (stats_of(ch).completion_entries == MP_COMPLETIONS_DEFAULT)
		return true;
	mp_destroy(ch);
	return false;
}

static int make_all(void)
{
	int made = 0, tries = 0;

	while (made < FITTING && tries < TRIES) {
		if (make_one()) {
			made++;
			continue;
		}
		tries++;
		usleep(TRY_AGAIN_US);
	}
	return made < FITTING ? NEVER : tries ? LATE : AT_ONCE;
}

/* The channels end with the process. */
static int live_and_die(void)
{
	pid_t child = SYS(fork());
	int status;

	if (!child)
		_exit(make_all());
	SYS(waitpid(child, &status, 0));
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

void test(void)
{
	int at_once = 0;

	limit_memlock(LIMIT);
	for (int i = 0; i < LIVES; i++) {
		int room = live_and_die();

		CHECK(room == AT_ONCE || room == LATE);
		at_once += room == AT_ONCE;
	}
	CHECK(at_once > LIVES / 2);
}
