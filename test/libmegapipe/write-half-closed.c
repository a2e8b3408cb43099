/* SPDX-License-Identifier: MIT */
/*
 * A peer that has ended its side, and reads on or doesn't: a large write to it
 * is taken when it reads, and can be given up on at any time.
 */
#include "check.h"

#define LARGE (4 << 20)

static char *bytes;

static struct mp_handle *half_closed(struct mp_channel *ch, int pair[2])
{
	struct mp_handle *h;
	char byte;

	small_buffers(pair);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_write(h, bytes, LARGE), 0);
	SYS(shutdown(pair[1], SHUT_WR));
	CHECK_IS(mp_read(h, &byte, 1), 0);
	EXPECT(ch, h, MP_READ, 0);
	return h;
}

/* Its event comes when the last bytes are in the socket's buffer, or later. */
static void check_taken(struct mp_channel *ch, int pair[2])
{
	struct mp_handle *h = half_closed(ch, pair);
	char *got = malloc(LARGE);
	bool is_written = false;
	struct mp_event ev;
	size_t n = 0;

	while (n < LARGE || !is_written) {
		ssize_t more = recv(pair[1], got + n, LARGE - n, MSG_DONTWAIT);

		if (more > 0)
			n += more;
		else if (mp_dispatch(ch, &ev, 1000) == 1)
			is_written = ev.cmd == MP_WRITE && ev.result == LARGE;
	}
	check_filled(got, LARGE, 0);
	free(got);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	SYS(close(pair[1]));
}

/* On engine uring the kernel tries again each time, and at last waits. */
static void check_given_up(struct mp_channel *ch, int pair[2], int times)
{
	struct mp_handle *h = half_closed(ch, pair);
	struct mp_event ev;

	for (int i = 0; i < times; i++)
		CHECK_IS(mp_dispatch(ch, &ev, 0), 0);
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int pair[2];

	bytes = malloc(LARGE);
	fill(bytes, LARGE, 0);
	for (int times = 0; times < 300; times = 2 * times + 1) {
		tcp_pair(pair);
		check_given_up(ch, pair, times);
		unix_pair(pair, SOCK_STREAM);
		check_given_up(ch, pair, times);
	}
	tcp_pair(pair);
	check_taken(ch, pair);
	unix_pair(pair, SOCK_STREAM);
	check_taken(ch, pair);
	/* in flight when the channel goes */
	unix_pair(pair, SOCK_STREAM);
	half_closed(ch, pair);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
	free(bytes);
}
