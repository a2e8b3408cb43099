/* SPDX-License-Identifier: MIT */
/*
 * After a write has failed, a write that is asked for before its event has been
 * dispatched is cancelled, too: the peer would get its bytes behind a gap. When
 * the event is known, the handle writes again.
 */
#include <sys/mman.h>

#include "check.h"

#define PAGE 65536

static void check_failure(struct mp_channel *ch, const void *nothing)
{
	struct mp_handle *h, *other;
	int pair[2], others[2];
	char bytes[3];

	tcp_pair(pair);
	tcp_pair(others);
	h = make_handle(ch, pair[0]);
	other = make_handle(ch, others[0]);
	/* fetched together, dispatched one after the other */
	CHECK_IS(mp_write(other, "a", 1), 0);
	CHECK_IS(mp_write(h, nothing, 10), 0);
	EXPECT(ch, other, MP_WRITE, 1);
	CHECK_IS(mp_write(h, "gap", 3), 0);
	CHECK_IS(mp_write(h, "gap", 3), 0);
	EXPECT(ch, h, MP_WRITE, -EFAULT);
	EXPECT(ch, h, MP_WRITE, -ECANCELED);
	EXPECT(ch, h, MP_WRITE, -ECANCELED);
	CHECK(!readable(pair[1], 0));
	CHECK_IS(mp_write(h, "yes", 3), 0);
	EXPECT(ch, h, MP_WRITE, 3);
	receive_all(pair[1], bytes, 3);
	CHECK_BYTES(bytes, "yes", 3);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	CHECK_IS(mp_close(other), 0);
	EXPECT(ch, other, MP_CLOSE, 0);
	SYS(close(pair[1]));
	SYS(close(others[1]));
}

void test(void)
{
	void *nothing =
		mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct mp_channel *ch = make_channel();

	CHECK(nothing != MAP_FAILED);
	for (int i = 0; i < 3; i++)
		check_failure(ch, nothing);
	mp_destroy(ch);
}
