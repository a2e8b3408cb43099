/* SPDX-License-Identifier: MIT */
/*
 * mp_poll() asked again before its event is dispatched waits for the new events
 * instead; what wasn't asked for isn't told, a half-closed peer included.
 */
#include <poll.h>

#include "check.h"

static struct mp_channel *ch;

static void fill_up(int fd)
{
	static char much[1 << 16];

	while (send(fd, much, sizeof(much), MSG_DONTWAIT) > 0)
		;
}

static void empty(int fd)
{
	static char much[1 << 16];

	while (recv(fd, much, sizeof(much), MSG_DONTWAIT) > 0)
		;
}

static struct mp_handle *full_pair(int pair[2])
{
	struct mp_handle *h;

	unix_pair(pair, SOCK_STREAM);
	fill_up(pair[0]);
	h = make_handle(ch, pair[0]);
	return h;
}

static void end(struct mp_handle *h, int pair[2])
{
	EXPECT_NONE(ch);
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

static void check_in_flight(bool flush)
{
	int pair[2];
	struct mp_handle *h = full_pair(pair);

	CHECK_IS(mp_poll(h, POLLOUT), 0);
	if (flush)
		EXPECT_NONE(ch);
	CHECK_IS(mp_poll(h, POLLIN), 0);
	if (flush)
		EXPECT_NONE(ch);
	empty(pair[1]);
	EXPECT_NONE(ch);
	CHECK_IS(mp_poll(h, POLLOUT | POLLIN), 0);
	EXPECT(ch, h, MP_POLL, POLLOUT);
	CHECK_IS(mp_poll(h, POLLIN), 0);
	CHECK_IS(mp_poll(h, POLLIN | POLLRDHUP), 0);
	send_all(pair[1], "x", 1);
	EXPECT(ch, h, MP_POLL, POLLIN);
	end(h, pair);
}

/* The event is in memory already, and isn't asked for any more. */
static void check_completed(void)
{
	int pair[2], other[2];
	struct mp_handle *h, *o;
	struct mp_event ev;

	unix_pair(pair, SOCK_STREAM);
	unix_pair(other, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	o = make_handle(ch, other[0]);
	CHECK_IS(mp_poll(o, POLLOUT), 0);
	CHECK_IS(mp_poll(h, POLLOUT), 0);
	ev = NEXT(ch);
	CHECK_IS(ev.result, POLLOUT);
	CHECK_IS(mp_poll(ev.handle == h ? o : h, POLLIN), 0);
	EXPECT_NONE(ch);
	send_all(ev.handle == h ? other[1] : pair[1], "x", 1);
	EXPECT(ch, ev.handle == h ? o : h, MP_POLL, POLLIN);
	end(h, pair);
	end(o, other);
}

/* It may have ended for the events from before: these aren't told. */
static void check_canceled(bool flush)
{
	struct mp_handle *h;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_poll(h, POLLOUT), 0);
	if (flush)
		CHECK_IS(mp_flush(ch), 0);
	CHECK_IS(mp_poll(h, POLLRDHUP), 0);
	CHECK_IS(mp_cancel(h, MP_POLL), 0);
	EXPECT(ch, h, MP_POLL, -ECANCELED);
	end(h, pair);
}

/* Waiting to write to a peer that has ended its side: no busy loop. */
static void check_half_closed(void)
{
	uint64_t crossings;
	int pair[2];
	struct mp_handle *h = full_pair(pair);

	CHECK_IS(mp_poll(h, POLLOUT), 0);
	EXPECT_NONE(ch);
	SYS(shutdown(pair[1], SHUT_WR));
	EXPECT_NONE(ch);
	CHECK_IS(mp_poll(h, POLLOUT), 0);
	EXPECT_NONE(ch);
	crossings = stats_of(ch).crossings;
	EXPECT_NONE(ch);
	CHECK(stats_of(ch).crossings - crossings < 20);
	empty(pair[1]);
	EXPECT(ch, h, MP_POLL, POLLOUT);
	CHECK_IS(mp_poll(h, POLLOUT | POLLRDHUP), 0);
	EXPECT(ch, h, MP_POLL, POLLOUT | POLLRDHUP);
	fill_up(pair[0]);
	CHECK_IS(mp_poll(h, POLLOUT), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_poll(h, POLLRDHUP), 0);
	EXPECT(ch, h, MP_POLL, POLLRDHUP);
	/* with such a one in flight it leaves */
	CHECK_IS(mp_poll(h, POLLOUT), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_POLL, -ECANCELED);
	EXPECT(ch, h, MP_CLOSE, 0);
	SYS(close(pair[1]));
}

static void check_at_random(void)
{
	static const short events[] = { POLLIN, POLLOUT, POLLIN | POLLOUT,
					POLLRDHUP };
	unsigned int seed = 5;
	int pair[2];
	struct mp_handle *h = full_pair(pair);

	for (int i = 0; i < 500; i++) {
		short wanted = events[rand_r(&seed) % 4];
		struct mp_event ev;

		CHECK_IS(mp_poll(h, wanted), 0);
		if (rand_r(&seed) % 3 == 0)
			(rand_r(&seed) % 2 ? fill_up : empty)(
				rand_r(&seed) % 2 ? pair[0] : pair[1]);
		if (rand_r(&seed) % 4 == 0)
			CHECK_IS(mp_cancel(h, MP_POLL), 0);
		else if (rand_r(&seed) % 3 == 0 && mp_dispatch(ch, &ev, 0) == 1)
			CHECK(ev.result > 0 ? !(ev.result & ~wanted) :
					      ev.result == -ECANCELED);
	}
	CHECK_IS(mp_poll(h, POLLOUT), 0);
	empty(pair[1]);
	EXPECT(ch, h, MP_POLL, POLLOUT);
	end(h, pair);
}

void test(void)
{
	ch = make_channel();
	check_in_flight(false);
	check_in_flight(true);
	check_completed();
	check_canceled(false);
	check_canceled(true);
	check_half_closed();
	check_at_random();
	mp_destroy(ch);
}
