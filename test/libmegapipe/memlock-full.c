/* SPDX-License-Identifier: MIT */
/*
 * Where RLIMIT_MEMLOCK has no room for another channel, mp_create() says so and
 * names it. The channels that are there are whole: they receive whatever
 * becomes of the limit. What is smaller than asked for is told.
 */
#include <sys/resource.h>

#include "check.h"
#include "memlock.h"

#define LIMIT (100 * 1024)
#define MANY 64

static void check_receives(struct mp_channel *ch)
{
	struct mp_event ev;
	struct mp_handle *h;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_recv(h), 0);
	send_all(pair[1], "hello", 5);
	ev = EXPECT(ch, h, MP_RECV, 5);
	CHECK_BYTES(ev.recv.data, "hello", 5);
	CHECK_IS(mp_release(ch, &ev), 0);
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

/* As many as there is room for. */
static int make_all(struct mp_channel **channels)
{
	struct mp_options options = { .size = sizeof(options),
				      .engine = engine };
	int n = 0, ret;

	while (!(ret = mp_create(&options, &channels[n])))
		CHECK(++n < MANY);
	CHECK_IS(ret, -ENOMEM);
	CHECK(strstr(mp_why(), "RLIMIT_MEMLOCK is 100 KiB"));
	return n;
}

void test(void)
{
	static const struct rlimit none;
	struct mp_channel *channels[MANY];
	struct mp_stats first, last;
	int n;

	limit_memlock(LIMIT);
	n = make_all(channels);
	CHECK(n > 1);
	first = stats_of(channels[0]);
	last = stats_of(channels[n - 1]);
	CHECK_IS(first.completion_entries, MP_COMPLETIONS_DEFAULT);
	CHECK_IS(first.buffers, MP_BUFFERS_DEFAULT);
	CHECK(last.completion_entries <= first.completion_entries);
	SYS(setrlimit(RLIMIT_MEMLOCK, &none));
	while (n--) {
		check_receives(channels[n]);
		mp_destroy(channels[n]);
	}
}
