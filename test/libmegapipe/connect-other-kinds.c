/* SPDX-License-Identifier: MIT */
/* UDP and UNIX sockets are connected, too. */
#include <sys/un.h>

#include "check.h"

static void check_udp(struct mp_channel *ch)
{
	struct sockaddr any = { .sa_family = AF_INET };
	int peer = SYS(socket(AF_INET, SOCK_DGRAM, 0));
	int fd = SYS(socket(AF_INET, SOCK_DGRAM, 0));
	struct mp_handle *h = make_handle(ch, fd);
	struct address a;
	char text[8];

	SYS(bind(peer, &any, sizeof(any)));
	a = address_of(peer);
	CHECK_IS(mp_connect(h, (struct sockaddr *)&a.storage, a.len), 0);
	CHECK_IS(mp_write(h, "hello", 5), 0);
	EXPECT(ch, h, MP_CONNECT, 0);
	EXPECT(ch, h, MP_WRITE, 5);
	CHECK_IS(SYS(read(peer, text, sizeof(text))), 5);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	SYS(close(peer));
}

static void check_unix(struct mp_channel *ch)
{
	struct sockaddr_un any = { .sun_family = AF_UNIX };
	int listener = SYS(socket(AF_UNIX, SOCK_STREAM, 0)), server;
	int fd = SYS(socket(AF_UNIX, SOCK_STREAM, 0));
	struct mp_handle *h = make_handle(ch, fd);
	struct address a;
	char text[8];

	SYS(bind(listener, (struct sockaddr *)&any, sizeof(any.sun_family)));
	SYS(listen(listener, 8));
	a = address_of(listener);
	CHECK_IS(mp_connect(h, (struct sockaddr *)&a.storage, a.len), 0);
	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	EXPECT(ch, h, MP_CONNECT, 0);
	server = SYS(accept(listener, NULL, NULL));
	send_all(server, "hi", 2);
	EXPECT(ch, h, MP_READ, 2);
	CHECK_IS(mp_connect(h, (struct sockaddr *)&a.storage, a.len), 0);
	EXPECT(ch, h, MP_CONNECT, -EISCONN);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	receive_end(server);
	SYS(close(server));
	SYS(close(listener));
}

static void check_nobody(struct mp_channel *ch)
{
	struct sockaddr_un nobody = { .sun_family = AF_UNIX };
	int fd = SYS(socket(AF_UNIX, SOCK_STREAM, 0));
	struct mp_handle *h = make_handle(ch, fd);

	snprintf(nobody.sun_path, sizeof(nobody.sun_path), "%.90s/nobody",
		 scratch_directory());
	CHECK_IS(mp_connect(h, (struct sockaddr *)&nobody, sizeof(nobody)), 0);
	EXPECT(ch, h, MP_CONNECT, -ENOENT);
	CHECK_IS(mp_unregister(h), 0);
	SYS(close(fd));
}

void test(void)
{
	struct mp_channel *ch = make_channel();

	check_udp(ch);
	check_unix(ch);
	check_nobody(ch);
	mp_destroy(ch);
}
