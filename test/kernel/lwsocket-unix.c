/* SPDX-License-Identifier: MIT */
/* Connections of other families are accepted as lwsockets, too. */
#include "channel.h"

static int listen_unix(int type)
{
	const struct sockaddr name = { .sa_family = AF_UNIX };
	int fd = SYS(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));

	SYS(bind(fd, &name, sizeof(name.sa_family))); /* a name of its own */
	SYS(listen(fd, 10));
	return fd;
}

void test(void)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
	int ch = new_channel();

	for (int i = 0; i < 2; i++) {
		int listener = listen_unix(types[i]);
		struct address a = address_of(listener);
		int client = SYS(socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0));
		uint32_t h = add(ch, listener, 1), accepted;

		SYS(connect(client, (struct sockaddr *)&a.storage, a.len));
		ASK(ch, ACCEPT, h, .len = 1);
		accepted = NEXT_OF(ch).result;
		ASK(ch, COOKIE, accepted, .addr = 5);
		check_echo(ch, accepted, 5, client);
		ASK(ch, CLOSE, accepted, .arg = -1);
		COMPLETES(ch, 5, CLOSE, 0);
		receive_end(client);
	}
	SYS(close(ch));
}
