/* SPDX-License-Identifier: MIT */
/* Datagram sockets and pipes wait for a buffer like streams do, and go on with
 * a release. */
#include "check.h"

#define FILES 6

static int fds[FILES][2];

static void open_files(struct mp_channel *ch)
{
	for (int i = 0; i < FILES; i++) {
		if (i % 3 == 0)
			SYS(pipe(fds[i]));
		else
			unix_pair(fds[i],
				  i % 3 == 1 ? SOCK_DGRAM : SOCK_SEQPACKET);
		CHECK_IS(mp_recv(make_handle(ch, fds[i][0])), 0);
	}
}

void test(void)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .buffers = 1 });
	struct mp_event ev;

	open_files(ch);
	EXPECT_NONE(ch);
	for (int i = 0; i < FILES; i++)
		send_all(fds[i][1], "hello", 5);
	for (int i = 0; i < FILES; i++) {
		ev = NEXT(ch);
		CHECK(ev.cmd == MP_RECV && ev.result == 5);
		CHECK_BYTES(ev.recv.data, "hello", 5);
		EXPECT_NONE(ch);
		if (i < FILES - 1)
			CHECK(stats_of(ch).buffer_waits > 0);
		CHECK_IS(mp_release(ch, &ev), 0);
	}
	EXPECT_NONE(ch);
	mp_destroy(ch);
}
