/* SPDX-License-Identifier: MIT */
/*
 * The crossings that mp_stats() reports are the system calls that strace
 * sees. This program runs itself under strace, between two marks.
 */
#include <limits.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "check.h"

#define MARK 77001
#define CONNECTIONS 40
#define ROUNDS 3

static int pairs[CONNECTIONS][2];
static struct mp_handle *handles[CONNECTIONS];

static void mark(void)
{
	CHECK(close(MARK) < 0);
}

/* Nothing here but the library makes system calls. */
static void work(struct mp_channel *ch)
{
	for (int i = 0; i < CONNECTIONS; i++) {
		CHECK_IS(mp_recv(handles[i]), 0);
		CHECK_IS(mp_write(handles[i], "out", 3), 0);
	}
	for (int i = 0; i < 2 * CONNECTIONS; i++) {
		struct mp_event ev = NEXT(ch);

		if (ev.cmd == MP_RECV)
			CHECK_IS(mp_release(ch, &ev), 0);
	}
}

static void traced(void)
{
	struct mp_channel *ch = make_channel();
	uint64_t crossings;

	for (int i = 0; i < CONNECTIONS; i++) {
		unix_pair(pairs[i], SOCK_STREAM);
		handles[i] = make_handle(ch, pairs[i][0]);
	}
	for (int i = 0; i < ROUNDS; i++) {
		for (int k = 0; k < CONNECTIONS; k++)
			send_all(pairs[k][1], "in", 2);
		crossings = stats_of(ch).crossings;
		if (i > 0) /* the first round allocates */
			mark();
		work(ch);
		if (i > 0)
			mark();
		crossings = stats_of(ch).crossings - crossings;
	}
	printf("%llu\n", (unsigned long long)crossings);
	mp_destroy(ch);
}

static void strace_self(const char *trace, int out)
{
	char self[PATH_MAX] = "";

	SYS(readlink("/proc/self/exe", self, sizeof(self) - 1));
	SYS(dup2(out, STDOUT_FILENO));
	SYS(setenv("MEGAPIPE_TRACED", "1", 1));
	SYS(setenv("ASAN_OPTIONS", "detect_leaks=0", 1));
	execlp("strace", "strace", "-f", "-qq", "-e", "verbose=none", "-o",
	       trace, self, engine, (char *)NULL);
	_exit(errno == ENOENT ? 127 : 126);
}

/* System calls between the last two marks, those for memory aside. */
static uint64_t count_calls(const char *trace)
{
	FILE *file = fopen(trace, "r");
	uint64_t count = 0, between = 0;
	char line[1000], marked[32];

	CHECK(file != NULL);
	snprintf(marked, sizeof(marked), "close(%d)", MARK);
	while (fgets(line, sizeof(line), file)) {
		if (strstr(line, marked)) {
			between = count;
			count = 0;
		} else if (!strstr(line, " mmap(") && !strstr(line, " brk(") &&
			   !strstr(line, " munmap(") &&
			   !strstr(line, "resumed>")) {
			count++;
		}
	}
	fclose(file);
	return between;
}

static bool is_empty(const char *path)
{
	struct stat st;

	return stat(path, &st) != 0 || st.st_size == 0;
}

static uint64_t run_under_strace(const char *trace)
{
	unsigned long long reported;
	char text[32] = "";
	int out[2], status;
	pid_t child;

	SYS(pipe(out));
	child = SYS(fork());
	if (child == 0)
		strace_self(trace, out[1]);
	SYS(close(out[1]));
	SYS(waitpid(child, &status, 0));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		skip("no strace");
	if (is_empty(trace))
		skip("strace can't trace here");
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(SYS(read(out[0], text, sizeof(text) - 1)) > 0);
	CHECK_IS(sscanf(text, "%llu", &reported), 1);
	return reported;
}

void test(void)
{
	char trace[300];
	uint64_t reported;

	if (getenv("MEGAPIPE_TRACED")) {
		traced();
		return;
	}
	snprintf(trace, sizeof(trace), "%s/trace", scratch_directory());
	reported = run_under_strace(trace);
	CHECK(reported > 0);
	CHECK_IS(reported, count_calls(trace));
}
