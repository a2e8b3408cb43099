/* SPDX-License-Identifier: MIT */
/* main() of every test program, failing and skipping. */
#include <signal.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "check.h"

#define TIME_LIMIT_S 300

const char *engine;
const char *argument;
char **arguments;

_Noreturn void fail(const char *file, int line, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s:%d: ", file, line);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, " (engine %s)\n", engine);
	_exit(1);
}

_Noreturn void skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	_exit(EXIT_SKIPPED);
}

/* Of slow machines somebody knows better. */
static unsigned int time_limit_s(void)
{
	const char *given = getenv("MEGAPIPE_TEST_TIME_LIMIT_S");

	return given ? (unsigned int)atoi(given) : TIME_LIMIT_S;
}

static void out_of_time(int signal)
{
	static const char text[] = "the time limit is over: it hangs\n";

	(void)signal;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(1);
}

/*
 * Whether the engine can work here is found out without the library: one that
 * wrongly says no must fail, not skip.
 */
static void skip_missing_engine(void)
{
	char too_small[16] = { 0 };

	if (strcmp(engine, "kernel") == 0 &&
	    access("/dev/megapipe", R_OK | W_OK) != 0)
		skip("no /dev/megapipe: %s", strerror(errno));
	if (strcmp(engine, "uring") == 0 &&
	    syscall(SYS_io_uring_setup, 0, too_small) < 0 &&
	    (errno == ENOSYS || errno == EPERM))
		skip("no io_uring: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s <engine>\n", argv[0]);
		return 2;
	}
	engine = argv[1];
	argument = argv[2];
	arguments = argv + 2;
	signal(SIGALRM, out_of_time);
	alarm(time_limit_s());
	skip_missing_engine();
	test();
	return 0;
}
