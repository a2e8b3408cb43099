/* SPDX-License-Identifier: MIT */
/*
 * A listener that leaves the channel accepts no more there; the socket goes on
 * by itself, and can be registered again.
 */
#include "check.h"

static void accept_one(struct mp_channel *ch, int listener)
{
	struct mp_handle *h = make_handle(ch, listener);
	struct mp_event ev;
	int client;

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	client = connect_to(listener);
	ev = NEXT(ch);
	CHECK(ev.cmd == MP_ACCEPT && ev.result >= 0 && ev.handle == h);
	SYS(close(ev.result));
	SYS(close(client));
	CHECK_IS(mp_unregister(h), 0);
	CHECK_IS(mp_accept(h, 1, false), -EBADF);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET), client, fd;

	for (int i = 0; i < 5; i++) {
		accept_one(ch, listener);
		client = connect_to(listener);
		EXPECT_NONE(ch);
		CHECK(readable(listener, PATIENCE_US / 1000));
		fd = SYS(accept(listener, NULL, NULL));
		SYS(close(fd));
		SYS(close(client));
	}
	mp_destroy(ch);
	SYS(close(listener));
}
