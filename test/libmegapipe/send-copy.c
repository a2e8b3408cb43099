/* SPDX-License-Identifier: MIT */
/*
 * A copying write leaves the memory to the caller: what it held when it was
 * asked for arrives, however late.
 */
#include "check.h"

#define SIZE (1 << 20)
#define COUNT 20

static void check_copies(struct mp_channel *ch, int pair[2])
{
	struct mp_handle *h = make_handle(ch, pair[0]);
	char *bytes = malloc(SIZE);
	size_t place = 0, received = 0;
	struct mp_event ev;

	for (int i = 0; i < COUNT; i++) {
		size_t size = i % 2 ? SIZE / COUNT : 7;
		struct iovec iov[3] = {
			{ bytes, size / 3 },
			{ NULL, 0 },
			{ bytes + size / 3, size - size / 3 },
		};

		fill(bytes, size, place);
		CHECK_IS(mp_sendv(h, iov, 3, MP_COPY), 0);
		place += size;
		memset(bytes, 0, size);
	}
	free(bytes);
	CHECK_IS(mp_send(h, "", 0, MP_COPY), 0);
	for (int i = 0; i < COUNT; i++) {
		while (mp_dispatch(ch, &ev, QUIET_US / 10) != 1)
			received += take_some(pair[1], received);
		CHECK(ev.handle == h && ev.cmd == MP_WRITE);
		CHECK_IS(ev.result, i % 2 ? SIZE / COUNT : 7);
	}
	EXPECT(ch, h, MP_WRITE, 0);
	while (received < place)
		received += take_some(pair[1], received);
	/* dropped with the handle */
	CHECK_IS(mp_send(h, pair, sizeof(pair[0]), MP_COPY), 0);
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int pair[2];

	tcp_pair(pair);
	small_buffers(pair);
	check_copies(ch, pair);
	unix_pair(pair, SOCK_STREAM);
	small_buffers(pair);
	check_copies(ch, pair);
	CHECK_IS(stats_of(ch).handles, 0);
	mp_destroy(ch);
}
