/* SPDX-License-Identifier: MIT */
/*
 * An lwsocket's number means something in its own channel only, and only while
 * it is open.
 */
#include "check.h"

static void check_refused(struct mp_channel *ch, int id, int error)
{
	struct mp_handle *h = NULL;

	CHECK_IS(mp_register(ch, id, NULL, NULL, &h), error);
	CHECK(h == NULL);
}

void test(void)
{
	struct mp_channel *ch = make_channel(), *other = make_channel();
	int listener = listen_tcp(AF_INET), client = connect_to(listener), id;
	struct mp_handle *h;

	check_refused(ch, MP_LWSOCKET_BASE, -EBADF);
	check_refused(ch, MP_LWSOCKET_BASE + MP_LWSOCKETS_MAX, -EBADF);
	check_refused(ch, INT32_MAX, -EBADF);
	CHECK_IS(mp_accept(make_handle(ch, listener), 1, true), 0);
	id = NEXT(ch).result;
	check_refused(other, id, -EBADF);
	check_refused(ch, id + 1, -EBADF);
	h = make_handle(ch, id);
	check_refused(ch, id, -EEXIST);
	check_refused(other, id, -EBADF);
	CHECK_IS(mp_write(h, "fine", 4), 0);
	EXPECT(ch, h, MP_WRITE, 4);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	check_refused(ch, id, -EBADF);
	SYS(close(client));
	mp_destroy(other);
	mp_destroy(ch);
	SYS(close(listener));
}
