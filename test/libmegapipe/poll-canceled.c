/* SPDX-License-Identifier: MIT */
/*
 * mp_close() ends an mp_poll() with -ECANCELED, mp_unregister() and
 * mp_destroy() in silence.
 */
#include <fcntl.h>
#include <poll.h>

#include "check.h"

static void check_busy(struct mp_channel *ch, struct mp_handle *h, int peer)
{
	CHECK_IS(mp_poll(h, POLLIN), 0);
	CHECK_IS(mp_lwsocket_to_fd(h), -EBUSY);
	send_all(peer, "x", 1);
	EXPECT(ch, h, MP_POLL, POLLIN);
}

static void check_hostile(struct mp_channel *ch, struct mp_handle *h)
{
	struct mp_handle *disk;
	char path[300];

	CHECK_IS(mp_poll(NULL, POLLIN), -EINVAL);
	CHECK_IS(mp_poll(h, 0), -EINVAL);
	CHECK_IS(mp_poll(h, POLLNVAL), -EINVAL);
	CHECK_IS(mp_poll(h, POLLIN | POLLPRI), -EINVAL);
	CHECK_IS(mp_poll(h, -1), -EINVAL);
	snprintf(path, sizeof(path), "%s/disk", scratch_directory());
	disk = make_handle(ch, SYS(creat(path, 0600)));
	CHECK_IS(mp_poll(disk, POLLIN), -EPERM);
	CHECK_IS(mp_close(disk), 0);
	EXPECT(ch, disk, MP_CLOSE, 0);
	EXPECT_NONE(ch);
}

static void check_close(struct mp_channel *ch, bool flush)
{
	struct mp_handle *h;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_poll(h, POLLIN), 0);
	if (flush)
		EXPECT_NONE(ch);
	CHECK_IS(mp_close(h), 0);
	CHECK_IS(mp_poll(h, POLLIN), -EBADF);
	EXPECT(ch, h, MP_POLL, -ECANCELED);
	EXPECT(ch, h, MP_CLOSE, 0);
	receive_end(pair[1]);
	SYS(close(pair[1]));
}

static void check_unregister(struct mp_channel *ch, bool flush)
{
	struct mp_handle *h;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_poll(h, POLLIN), 0);
	if (flush)
		EXPECT_NONE(ch);
	send_all(pair[1], "x", 1);
	if (flush)
		CHECK_IS(mp_flush(ch), 0);
	CHECK_IS(mp_unregister(h), 0);
	EXPECT_NONE(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	check_busy(ch, h, pair[1]);
	check_hostile(ch, h);
	for (int flush = 0; flush < 2; flush++) {
		check_close(ch, flush);
		check_unregister(ch, flush);
	}
	/* in flight when the channel goes */
	CHECK_IS(mp_poll(h, POLLRDHUP), 0);
	CHECK_IS(mp_flush(ch), 0);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
