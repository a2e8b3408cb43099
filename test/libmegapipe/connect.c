/* SPDX-License-Identifier: MIT */
/*
 * A connect completes before what was asked for after it; its address is
 * copied.
 */
#include "check.h"

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET), server;
	struct address a = address_of(listener);
	int fd = SYS(socket(AF_INET, SOCK_STREAM, 0));
	struct mp_handle *h = make_handle(ch, fd);
	char text[8];

	CHECK_IS(mp_connect(h, (struct sockaddr *)&a.storage, a.len), 0);
	memset(&a, 0, sizeof(a));
	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	CHECK_IS(mp_write(h, "hello", 5), 0);
	EXPECT(ch, h, MP_CONNECT, 0);
	EXPECT(ch, h, MP_WRITE, 5);
	EXPECT_NONE(ch);
	server = SYS(accept(listener, NULL, NULL));
	receive_all(server, text, 5);
	CHECK_BYTES(text, "hello", 5);
	send_all(server, "you", 3);
	EXPECT(ch, h, MP_READ, 3);
	CHECK_BYTES(text, "you", 3);
	mp_destroy(ch);
	SYS(close(fd));
	SYS(close(server));
	SYS(close(listener));
}
