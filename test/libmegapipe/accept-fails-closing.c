/* SPDX-License-Identifier: MIT */
/*
 * A listening handle is closed between the word that a connection is there and
 * its accept, which fails because descriptors are short: nothing of the handle
 * is left behind to be tried again.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "check.h"

#define TRY_AGAIN_MS 300 /* an accept that failed is tried again before */

static int lowest_free_fd(void)
{
	int fd = SYS(dup(0));

	SYS(close(fd));
	return fd;
}

/* Two that want lwsockets, of which there is one, wait by poll. */
static void check_close(struct mp_channel *ch, bool unregisters)
{
	struct mp_handle *h[2], *bell;
	int fds[2], client, bell_fd;
	const uint64_t one = 1;
	uint64_t count;

	for (int i = 0; i < 2; i++) {
		fds[i] = listen_tcp(AF_INET);
		h[i] = make_handle(ch, fds[i]);
		CHECK_IS(mp_accept(h[i], MP_ACCEPT_ALL, true), 0);
	}
	bell_fd = SYS(eventfd(0, EFD_CLOEXEC));
	bell = make_handle(ch, bell_fd);
	CHECK_IS(mp_read(bell, &count, sizeof(count)), 0);
	EXPECT_NONE(ch);
	client = connect_to(fds[0]);
	wait_queued(fds[0], 1);
	send_all(bell_fd, &one, sizeof(one));
	CHECK(limit_fds(lowest_free_fd()));
	EXPECT(ch, bell, MP_READ, sizeof(count));
	for (int i = 0; i < 2; i++)
		CHECK_IS(unregisters ? mp_unregister(h[i]) : mp_close(h[i]), 0);
	for (int closed = 0; closed < (unregisters ? 0 : 2);) {
		struct mp_event ev = NEXT(ch);

		closed += ev.cmd == MP_CLOSE;
		if (ev.cmd == MP_ACCEPT && ev.result >= 0)
			CHECK_IS(mp_unregister(make_handle(ch, ev.result)), 0);
	}
	CHECK(limit_fds(4096));
	CHECK_IS(mp_unregister(bell), 0);
	/* where a retry would find it */
	for (int i = 0; i < 10; i++) {
		SYS(poll(NULL, 0, TRY_AGAIN_MS / 10));
		CHECK_IS(mp_flush(ch), 0);
		EXPECT_NONE(ch);
	}
	SYS(close(bell_fd));
	SYS(close(client));
	if (unregisters)
		for (int i = 0; i < 2; i++)
			SYS(close(fds[i]));
}

void test(void)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .max_lwsockets = 1 });

	if (!limit_fds(4096))
		skip("may not change RLIMIT_NOFILE");
	for (int i = 0; i < 4; i++)
		check_close(ch, i % 2);
	mp_destroy(ch);
}
