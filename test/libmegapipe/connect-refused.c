/* SPDX-License-Identifier: MIT */
/*
 * A refused connect says so, and what was asked for behind it ends with errors
 * too.
 */
#include "check.h"

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET);
	struct address a = address_of(listener);
	int fd = SYS(socket(AF_INET, SOCK_STREAM, 0)), reads = 0;
	struct mp_handle *h = make_handle(ch, fd);
	char text[8];

	SYS(close(listener));
	CHECK_IS(mp_connect(h, (struct sockaddr *)&a.storage, a.len), 0);
	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	CHECK_IS(mp_write(h, "hello", 5), 0);
	EXPECT(ch, h, MP_CONNECT, -ECONNREFUSED);
	for (int i = 0; i < 2; i++) {
		struct mp_event ev = NEXT(ch);

		CHECK(ev.result < 0 || (ev.cmd == MP_READ && ev.result == 0));
		reads += ev.cmd == MP_READ;
	}
	CHECK_IS(reads, 1);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	mp_destroy(ch);
}
