/* SPDX-License-Identifier: MIT */
/*
 * An epoll instance is a file to mp_poll(): its owner fetches its events by
 * itself, when a channel says that there are some.
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "check.h"

#define FILES 20

static int epoll;
static int files[FILES];

static void add_files(void)
{
	for (int i = 0; i < FILES; i++) {
		struct epoll_event ev = { .events = EPOLLIN, .data.u32 = i };

		files[i] = SYS(eventfd(0, EFD_NONBLOCK));
		SYS(epoll_ctl(epoll, EPOLL_CTL_ADD, files[i], &ev));
	}
}

/* Takes one event; true if it is of this file. */
static bool take_one(int i)
{
	struct epoll_event ev;
	uint64_t count;

	CHECK_IS(epoll_wait(epoll, &ev, 1, 0), 1);
	SYS(read(files[ev.data.u32], &count, sizeof(count)));
	return (int)ev.data.u32 == i;
}

static void raise_event(int i)
{
	uint64_t one = 1;

	SYS(write(files[i], &one, sizeof(one)));
}

static void check_one_by_one(struct mp_channel *ch, struct mp_handle *h)
{
	for (int i = 0; i < FILES; i++) {
		CHECK_IS(mp_poll(h, POLLIN), 0);
		if (i == 0)
			EXPECT_NONE(ch);
		raise_event(i);
		EXPECT(ch, h, MP_POLL, POLLIN);
		CHECK(take_one(i));
	}
}

/* What is left over is told again, without anything new. */
static void check_left_over(struct mp_channel *ch, struct mp_handle *h)
{
	for (int i = 0; i < FILES; i++)
		raise_event(i);
	for (int i = 0; i < FILES; i++) {
		CHECK_IS(mp_poll(h, POLLIN), 0);
		EXPECT(ch, h, MP_POLL, POLLIN);
		take_one(i);
	}
	CHECK_IS(mp_poll(h, POLLIN), 0);
	EXPECT_NONE(ch);
	raise_event(0);
	EXPECT(ch, h, MP_POLL, POLLIN);
	CHECK(take_one(0));
}

/* Watched from now on, while the channel waits: it is told all the same. */
static void check_added_later(struct mp_channel *ch, struct mp_handle *h)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	send_all(pair[1], "x", 1);
	CHECK_IS(mp_poll(h, POLLIN), 0);
	EXPECT_NONE(ch);
	SYS(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &ev));
	EXPECT(ch, h, MP_POLL, POLLIN);
	SYS(epoll_ctl(epoll, EPOLL_CTL_DEL, pair[0], NULL));
	CHECK_IS(mp_poll(h, POLLIN), 0);
	EXPECT_NONE(ch);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h;

	epoll = SYS(epoll_create1(EPOLL_CLOEXEC));
	add_files();
	h = make_handle(ch, epoll);
	check_one_by_one(ch, h);
	check_left_over(ch, h);
	check_added_later(ch, h);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_POLL, -ECANCELED);
	EXPECT(ch, h, MP_CLOSE, 0);
	CHECK(!is_open(epoll));
	mp_destroy(ch);
	for (int i = 0; i < FILES; i++)
		SYS(close(files[i]));
}
