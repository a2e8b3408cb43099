/* SPDX-License-Identifier: MIT */
/* Urgent bytes have a signal sent to a file's owner; an lwsocket has no file.
 */
#include "channel.h"

void test(void)
{
	int ch = new_channel(), listener = listen_tcp(AF_INET), client;
	uint32_t h = accept_lwsocket(ch, listener, &client, 1);
	char text[8];
	struct iovec iov = { text, sizeof(text) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	ASK(ch, POLL, h, .arg = POLLIN);
	CHECK_IS(SYS(send(client, "!", 1, MSG_OOB)), 1);
	STAYS_QUIET(ch);
	CHECK_IS(OUTCOME(ch, RECVMSG, h, .addr = ADDRESS(&msg), .arg = MSG_OOB),
		 1);
	CHECK_IS(text[0], '!');
	send_all(client, "calm", 4);
	COMPLETES(ch, 1, POLL, POLLIN);
	CHECK_IS(OUTCOME(ch, READ, h, BYTES(text, 8)), 4);
	CHECK_BYTES(text, "calm", 4);
	CHECK_IS(OUTCOME(ch, SENDMSG, h, .addr = ADDRESS(&msg), .arg = MSG_OOB),
		 8);
	receive_all(client, text, 7); /* the last one is the urgent one */
	check_echo(ch, h, 1, client);
	SYS(close(ch));
}
