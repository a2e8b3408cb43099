/* SPDX-License-Identifier: MIT */
/*
 * A listening socket that is shut down doesn't listen any more: that is told
 * once, and ends accepting.
 */
#include "check.h"

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET), other = listen_tcp(AF_INET), client;
	struct mp_handle *h = make_handle(ch, listener);
	struct mp_handle *still = make_handle(ch, other);

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	CHECK_IS(mp_accept(still, MP_ACCEPT_ALL, false), 0);
	EXPECT_NONE(ch);
	SYS(shutdown(listener, SHUT_RDWR));
	EXPECT(ch, h, MP_ACCEPT, -EINVAL);
	EXPECT_NONE(ch);
	client = connect_to(other);
	SYS(close(NEXT(ch).result));
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(client));
	mp_destroy(ch);
	SYS(close(listener));
	SYS(close(other));
}
