/* SPDX-License-Identifier: MIT */
/* A channel is no file to read, write, map, seek in or wait for. */
#include <sys/epoll.h>
#include <sys/mman.h>

#include "channel.h"

void test(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int ch = new_channel(), epoll = SYS(epoll_create1(EPOLL_CLOEXEC));
	char byte = 0;

	CHECK(TRY_SYS(read(ch, &byte, 1)) < 0);
	CHECK(TRY_SYS(write(ch, &byte, 1)) < 0);
	CHECK(TRY_SYS(pread(ch, &byte, 1, 0)) < 0);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, ch, 0) == MAP_FAILED);
	/* a circle of files that wait for each other could be made so */
	CHECK_IS(TRY_SYS(epoll_ctl(epoll, EPOLL_CTL_ADD, ch, &event)), -EPERM);
	CHECK(TRY_SYS(ftruncate(ch, 0)) < 0);
	check_usable(ch);
	SYS(close(ch));
}
