/* SPDX-License-Identifier: MIT */
/* A handle does one operation of each kind at a time. */
#include "channel.h"

static char large[4 << 20];

static void check_reading(int ch, uint32_t h)
{
	struct msghdr msg = { 0 };
	char text[8];

	REFUSES(ch, -EBUSY, READ, h, BYTES(text, 8));
	REFUSES(ch, -EBUSY, RECV, h);
	REFUSES(ch, -EBUSY, RECVMSG, h, .addr = ADDRESS(&msg));
}

static void check_writing(int ch, uint32_t h)
{
	struct msghdr msg = { 0 };

	REFUSES(ch, -EBUSY, WRITE, h, BYTES("x", 1));
	REFUSES(ch, -EBUSY, SENDMSG, h, .addr = ADDRESS(&msg));
	REFUSES(ch, -EBUSY, DISCONNECT, h, .arg = SHUT_WR);
}

static void check_accepting(int ch)
{
	int listener = listen_tcp(AF_INET);
	uint32_t h = add(ch, listener, 2);

	ASK(ch, ACCEPT, h, .len = 1);
	REFUSES(ch, -EBUSY, ACCEPT, h, .len = 1);
	SYS(close(connect_to(listener)));
	drop(ch, NEXT_OF(ch).result);
	ASK(ch, ACCEPT, h, .len = 1);
	drop(ch, h);
	SYS(close(listener));
}

void test(void)
{
	int ch = new_channel(), pair[2];
	char text[8];
	uint32_t h;

	give_buffers(ch, 4, 64);
	tcp_pair(pair);
	small_buffers(pair);
	h = add(ch, pair[0], 1);
	ASK(ch, READ, h, BYTES(text, 8));
	ASK(ch, WRITE, h, BYTES(large, sizeof(large)));
	ASK(ch, POLL, h, .arg = POLLRDHUP);
	check_reading(ch, h);
	check_writing(ch, h);
	REFUSES(ch, -EBUSY, POLL, h, .arg = POLLIN);
	check_accepting(ch);
	STAYS_QUIET(ch);

	/* each may be asked for again after its completion was fetched */
	send_all(pair[1], "ab", 2);
	COMPLETES(ch, 1, READ, 2);
	ASK(ch, RECV, h);
	check_reading(ch, h);
	ASK(ch, CANCEL, h, .arg = MEGAPIPE_LANE_WRITE | MEGAPIPE_LANE_POLL);
	for (int i = 0; i < 2; i++)
		CHECK_IS(NEXT_OF(ch).result, -ECANCELED);
	ASK(ch, POLL, h, .arg = POLLIN);
	ASK(ch, DISCONNECT, h, .arg = SHUT_WR);
	COMPLETES(ch, 1, DISCONNECT, 0);
	SYS(close(ch));
}
