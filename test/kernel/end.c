/* SPDX-License-Identifier: MIT */
/*
 * The end of a channel closes its lwsockets, drops what is in flight, and lets
 * go of its files, which stay open.
 */
#include "channel.h"

static char large[4 << 20];

static void check_end(bool by_close)
{
	int ch = new_channel(), listener = listen_tcp(AF_INET);
	int client, pair[2], drained = 0;
	uint32_t h = accept_lwsocket(ch, listener, &client, 1), file;
	char text[8] = "untouch";

	tcp_pair(pair);
	small_buffers(pair);
	file = add(ch, pair[0], 2);
	ASK(ch, READ, h, BYTES(text, 8));
	ASK(ch, READ, file, BYTES(text, 8));
	ASK(ch, WRITE, file, BYTES(large, sizeof(large)));
	ASK(ch, ACCEPT, add(ch, listener, 3));
	STAYS_QUIET(ch);
	if (!by_close)
		CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_END, NULL), 0);
	else
		SYS(close(ch));
	receive_end(client);
	send_all(pair[1], "for us", 6);
	receive_all(pair[0], large, 6);
	CHECK_BYTES(large, "for us", 6);
	CHECK_BYTES(text, "untouch", 8);
	SYS(shutdown(pair[0], SHUT_WR));
	while ((drained = SYS(read(pair[1], large, sizeof(large)))) > 0)
		;
	/* the listener is a listener still, and nobody accepts from it */
	SYS(close(connect_to(listener)));
	wait_queued(listener, 1);
	if (!by_close)
		SYS(close(ch));
	for (int i = 0; i < 2; i++)
		SYS(close(pair[i]));
}

void test(void)
{
	check_end(false);
	check_end(true);
}
