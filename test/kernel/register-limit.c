/* SPDX-License-Identifier: MIT */
/*
 * A channel keeps no more files, and no more lwsockets, than its process may
 * have open: else RLIMIT_NOFILE would be none.
 */
#include <sys/eventfd.h>

#include "channel.h"

/* More than what a process has before, and few enough to try. */
#define LIMIT 40

static void check_files(int ch)
{
	uint32_t handles[LIMIT + 1];
	int count = 0, ret = 0, fd;

	while (count <= LIMIT && ret == 0) {
		fd = SYS(eventfd(0, EFD_CLOEXEC));
		ret = try_add(ch, fd, count, &handles[count]);
		SYS(close(fd));
		count += ret == 0;
	}
	CHECK_IS(ret, -EMFILE);
	CHECK_IS(count, LIMIT);
	/* one goes, one comes */
	drop(ch, handles[0]);
	fd = SYS(eventfd(0, EFD_CLOEXEC));
	handles[0] = add(ch, fd, 0);
	CHECK_IS(try_add(ch, fd, 0, &handles[LIMIT]), -EMFILE);
	SYS(close(fd));
	for (int i = 0; i < LIMIT; i++)
		drop(ch, handles[i]);
}

/* The connection is still there for who makes room. */
static void check_lwsockets(int ch)
{
	int listener = listen_tcp(AF_INET), last = -1;
	uint32_t h = add(ch, listener, 1), handles[LIMIT];
	int64_t result = 0;
	int count = 0;

	while (count <= LIMIT && result >= 0) {
		if (last >= 0)
			SYS(close(last));
		last = connect_to(listener);
		result = OUTCOME(ch, ACCEPT, h, .len = 1);
		if (result >= 0)
			handles[count++] = result;
	}
	CHECK_IS(result, -EMFILE);
	CHECK_IS(count, LIMIT);
	drop(ch, handles[0]);
	handles[0] = OUTCOME(ch, ACCEPT, h, .len = 1);
	ASK(ch, COOKIE, handles[0], .addr = 3);
	check_echo(ch, handles[0], 3, last);
	SYS(close(last));
	SYS(close(listener));
}

void test(void)
{
	int ch;

	CHECK(limit_fds(LIMIT));
	ch = new_channel();
	check_files(ch);
	SYS(close(ch));
	ch = new_channel();
	check_lwsockets(ch);
	SYS(close(ch));
}
