/* SPDX-License-Identifier: MIT */
/*
 * Giving back twice, to another channel, or what isn't a buffer is refused and
 * changes nothing.
 */
#include "check.h"

static struct mp_event received(struct mp_channel *ch, int pair[2])
{
	struct mp_handle *h;

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	send_all(pair[1], "hello", 5);
	CHECK_IS(mp_recv(h), 0);
	return EXPECT(ch, h, MP_RECV, 5);
}

static void check_refused(struct mp_channel *ch, struct mp_event ev)
{
	struct mp_event other_cmd = ev, far = ev, nowhere = ev;

	other_cmd.cmd = MP_READ;
	far.recv.buffer = UINT32_MAX;
	nowhere.recv.buffer = MP_BUFFERS_MAX;
	CHECK_IS(mp_release(NULL, &ev), -EINVAL);
	CHECK_IS(mp_release(ch, NULL), -EINVAL);
	CHECK_IS(mp_release(ch, &other_cmd), -EINVAL);
	CHECK_IS(mp_release(ch, &far), -EINVAL);
	CHECK_IS(mp_release(ch, &nowhere), -EINVAL);
	CHECK_IS(stats_of(ch).buffers_held, 1);
	CHECK_BYTES(ev.recv.data, "hello", 5);
}

void test(void)
{
	struct mp_channel *ch = make_channel(), *other = make_channel();
	int pair[2];
	struct mp_event ev = received(ch, pair);

	check_refused(ch, ev);
	CHECK(mp_release(other, &ev) < 0);
	CHECK_IS(mp_release(ch, &ev), 0);
	CHECK(mp_release(ch, &ev) < 0);
	CHECK(mp_release(ch, &ev) < 0);
	CHECK_IS(stats_of(ch).buffers_held, 0);
	mp_destroy(other);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
