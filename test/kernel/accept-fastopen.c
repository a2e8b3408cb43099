/* SPDX-License-Identifier: MIT */
/*
 * With TCP Fast Open a connection is accepted before it is established, and
 * its bytes are there already.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "channel.h"
#include "machine.h"
#include "processes.h"

static int connect_fast(const struct address *a)
{
	int fd = SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	CHECK_IS(SYS(sendto(fd, "early", 5, MSG_FASTOPEN,
			    (const struct sockaddr *)&a->storage, a->len)),
		 5);
	return fd;
}

void test(void)
{
	int ch, listener, queue = 10;
	struct address a;
	uint32_t h;

	need_root();
	/* client and server, and without having met before */
	if (!write_text("/proc/sys/net/ipv4/tcp_fastopen", "1541"))
		skip("needs net.ipv4.tcp_fastopen: %s", strerror(errno));
	ch = new_channel();
	listener = listen_tcp(AF_INET);
	SYS(setsockopt(listener, IPPROTO_TCP, TCP_FASTOPEN, &queue,
		       sizeof(queue)));
	a = address_of(listener);
	h = add(ch, listener, 1);
	for (int i = 0; i < 20; i++) {
		int client = connect_fast(&a);
		uint32_t accepted;
		char text[8];

		ASK(ch, ACCEPT, h, .len = 1);
		accepted = NEXT_OF(ch).result;
		ASK(ch, COOKIE, accepted, .addr = 2);
		CHECK_IS(OUTCOME(ch, READ, accepted, BYTES(text, 8)), 5);
		CHECK_BYTES(text, "early", 5);
		check_echo(ch, accepted, 2, client);
		drop(ch, accepted);
		receive_end(client);
		SYS(close(client));
	}
	write_text("/proc/sys/net/ipv4/tcp_fastopen", "1");
	SYS(close(ch));
}
