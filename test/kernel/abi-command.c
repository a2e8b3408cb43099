/* SPDX-License-Identifier: MIT */
/* Commands that aren't any are refused, and change nothing. */
#include "channel.h"

/* Flags that each command knows. */
static const uint8_t known[] = {
	[MEGAPIPE_OP_ACCEPT] = MEGAPIPE_F_PEER | MEGAPIPE_F_NOWAIT,
	[MEGAPIPE_OP_READ] = MEGAPIPE_F_VECTOR,
	[MEGAPIPE_OP_RECV] = 0,
	[MEGAPIPE_OP_RECVMSG] = 0,
	[MEGAPIPE_OP_WRITE] = MEGAPIPE_F_VECTOR,
	[MEGAPIPE_OP_SENDMSG] = 0,
	[MEGAPIPE_OP_DISCONNECT] = 0,
	[MEGAPIPE_OP_POLL] = MEGAPIPE_F_NOWAIT,
	[MEGAPIPE_OP_CANCEL] = 0,
	[MEGAPIPE_OP_CLOSE] = MEGAPIPE_F_SILENT,
	[MEGAPIPE_OP_COOKIE] = 0,
	[MEGAPIPE_OP_CONNECT] = 0,
};

static struct megapipe_command wrong(uint32_t h, int op)
{
	return (struct megapipe_command){ .op = op, .handle = h, .arg = -1 };
}

static void check_flags(int ch, uint32_t h, int op)
{
	for (int bit = 0; bit < 8; bit++) {
		struct megapipe_command command = wrong(h, op);

		command.flags = 1u << bit;
		if (!(known[op] & command.flags))
			CHECK_IS(try_command(ch, command), -EINVAL);
	}
}

static void check_reserved(int ch, uint32_t h, int op)
{
	struct megapipe_command command = wrong(h, op);

	command.reserved = 1;
	CHECK_IS(try_command(ch, command), -EINVAL);
	command.reserved = 0x8000;
	CHECK_IS(try_command(ch, command), -EINVAL);
}

/* Members that an operation has no use for. */
static void check_unused(int ch, uint32_t h)
{
	REFUSES(ch, -EINVAL, ACCEPT, h, .addr = 1);
	REFUSES(ch, -EINVAL, ACCEPT, h, .arg = 1);
	REFUSES(ch, -EINVAL, READ, h, .arg = 1);
	REFUSES(ch, -EINVAL, WRITE, h, .arg = 1);
	REFUSES(ch, -EINVAL, RECV, h, .len = 1);
	REFUSES(ch, -EINVAL, RECV, h, .addr = 1);
	REFUSES(ch, -EINVAL, RECVMSG, h, .len = 1);
	REFUSES(ch, -EINVAL, SENDMSG, h, .len = 1);
	REFUSES(ch, -EINVAL, DISCONNECT, h, .addr = 1);
	REFUSES(ch, -EINVAL, POLL, h, .arg = POLLIN, .len = 1);
	REFUSES(ch, -EINVAL, CANCEL, h, .len = 1);
	REFUSES(ch, -EINVAL, CLOSE, h, .arg = -1, .addr = 1);
	REFUSES(ch, -EINVAL, COOKIE, h, .arg = 1);
	REFUSES(ch, -EINVAL, CONNECT, h, .arg = 1);
}

static void check_arguments(int ch, uint32_t h)
{
	REFUSES(ch, -EINVAL, DISCONNECT, h, .arg = 3);
	REFUSES(ch, -EINVAL, DISCONNECT, h, .arg = -1);
	REFUSES(ch, -EINVAL, CANCEL, h, .arg = 1u << 3);
	REFUSES(ch, -EINVAL, CANCEL, h, .arg = -1);
	REFUSES(ch, -EINVAL, POLL, h, .arg = 1u << 31);
}

void test(void)
{
	int ch = new_channel(), listener = listen_tcp(AF_INET), client;
	uint32_t h = accept_lwsocket(ch, listener, &client, 7);

	CHECK_IS(try_command(ch, wrong(h, 0)), -EINVAL);
	for (int op = MEGAPIPE_OP_CONNECT + 1; op < 256; op++)
		CHECK_IS(try_command(ch, wrong(h, op)), -EINVAL);
	for (int op = 1; op <= MEGAPIPE_OP_CONNECT; op++) {
		check_flags(ch, h, op);
		check_reserved(ch, h, op);
	}
	check_arguments(ch, h);
	check_unused(ch, h);
	STAYS_QUIET(ch);
	check_echo(ch, h, 7, client);
	SYS(close(ch));
}
