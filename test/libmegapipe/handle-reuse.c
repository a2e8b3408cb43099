/* SPDX-License-Identifier: MIT */
/*
 * A handle that was left doesn't become another file's soon: who uses it by
 * mistake is told so. And handles do come again: memory stays bounded.
 */
#include "check.h"

#define OTHERS 100
#define ROUNDS 10000
#define MOST 1000

static struct mp_handle *leave(struct mp_channel *ch, int fd, bool by_close)
{
	struct mp_handle *h = make_handle(ch, by_close ? SYS(dup(fd)) : fd);

	if (!by_close) {
		CHECK_IS(mp_unregister(h), 0);
		return h;
	}
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	return h;
}

static void check_stale(struct mp_channel *ch, int fd, bool by_close)
{
	struct mp_handle *stale = leave(ch, fd, by_close);

	for (int i = 0; i < OTHERS; i++) {
		struct mp_handle *other = make_handle(ch, fd);

		CHECK(other != stale);
		CHECK_IS(mp_write(stale, "x", 1), -EBADF);
		CHECK_IS(mp_close(stale), -EBADF);
		CHECK_IS(mp_unregister(stale), -EBADF);
		CHECK_IS(mp_handle_id(stale), -EBADF);
		CHECK_IS(mp_unregister(other), 0);
	}
}

static bool was_seen(struct mp_handle *const *seen, int n, struct mp_handle *h)
{
	for (int i = 0; i < n; i++)
		if (seen[i] == h)
			return true;
	return false;
}

static void check_bounded(struct mp_channel *ch, int fd)
{
	struct mp_handle *seen[MOST];
	int n = 0;

	for (int i = 0; i < ROUNDS; i++) {
		struct mp_handle *h = leave(ch, fd, false);

		if (was_seen(seen, n, h))
			continue;
		CHECK(n < MOST);
		seen[n++] = h;
	}
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	check_stale(ch, pair[0], false);
	check_stale(ch, pair[0], true);
	check_bounded(ch, pair[0]);
	CHECK_IS(stats_of(ch).handles, 0);
	mp_destroy(ch);
	CHECK(!readable(pair[1], 0));
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
