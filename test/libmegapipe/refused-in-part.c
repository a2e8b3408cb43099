/* SPDX-License-Identifier: MIT */
/*
 * A seccomp filter that lets io_uring_setup() pass and refuses another call
 * that engine uring is made of: probing and making a channel fail, and say
 * which. "auto" takes an engine that works, and the others don't care.
 */
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "refuse.h"

static void check_named(const char *call, int error)
{
	struct mp_options options = { .size = sizeof(options),
				      .engine = engine };
	struct mp_engine_info info;
	struct mp_channel *ch;

	CHECK_IS(mp_engine_probe(engine, &info), 0);
	if (strcmp(engine, "uring") != 0) {
		CHECK_IS(info.error, 0);
		CHECK_IS(mp_create(&options, &ch), 0);
		mp_destroy(ch);
		return;
	}
	CHECK_IS(info.error, -error);
	CHECK(strstr(mp_why(), call));
	CHECK_IS(mp_create(&options, &ch), -error);
	CHECK(strstr(mp_why(), call));
}

static void check_auto(void)
{
	struct mp_options options = { .size = sizeof(options) };
	struct mp_event ev;
	struct mp_channel *ch;

	CHECK_IS(mp_choose(&options, 2), 0);
	CHECK(strcmp(options.engine, "uring") != 0);
	CHECK_IS(mp_create(&options, &ch), 0);
	CHECK_IS(mp_dispatch(ch, &ev, 0), 0);
	mp_destroy(ch);
}

/* A filter is for good: in a process of its own. */
static void check_refused(unsigned int number, const char *call, int error)
{
	int before = open_fds(), status;
	pid_t child = SYS(fork());

	if (!child) {
		refuse(number, error);
		check_named(call, error);
		check_auto();
		CHECK_IS(open_fds(), before);
		_exit(0);
	}
	SYS(waitpid(child, &status, 0));
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED)
		skip("no seccomp filters here");
	CHECK_IS(status, 0);
}

void test(void)
{
	check_refused(SYS_io_uring_enter, "io_uring_enter()", EPERM);
	check_refused(SYS_io_uring_enter, "io_uring_enter()", ENOSYS);
	check_refused(SYS_io_uring_register, "io_uring_register()", EPERM);
	check_refused(SYS_io_uring_register, "io_uring_register()", ENOSYS);
}
