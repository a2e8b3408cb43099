/* SPDX-License-Identifier: MIT */
/* A message whose header, or what is in it, is nowhere: -EFAULT. */
#include <netinet/in.h>

#include "channel.h"
#include "nowhere.h"

static int ch, pair[2];
static uint32_t h;

/* A datagram waits, and each try may take it. */
static void receives(int64_t result, const struct msghdr *msg)
{
	char drain[16];

	send_all(pair[1], "data", 4);
	CHECK_IS(OUTCOME(ch, RECVMSG, h, .addr = ADDRESS(msg)), result);
	while (readable(pair[0], 0))
		SYS(read(pair[0], drain, sizeof(drain)));
}

static void sends(int64_t result, const struct msghdr *msg)
{
	CHECK_IS(OUTCOME(ch, SENDMSG, h, .addr = ADDRESS(msg)), result);
}

static void check_inside(void *address)
{
	char text[8], control[64] = { 0 };
	struct iovec iov = { text, sizeof(text) }, wild = { address, 4 };
	const struct msghdr right = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct msghdr msg = right;

	msg.msg_iov = &wild;
	receives(-EFAULT, &msg);
	sends(-EFAULT, &msg);
	msg = right;
	msg.msg_iov = address;
	receives(-EFAULT, &msg);
	sends(-EFAULT, &msg);
	msg = right;
	msg.msg_name = address;
	msg.msg_namelen = sizeof(struct sockaddr_in);
	if (address) { /* there may be no name, and no control */
		receives(-EFAULT, &msg);
		sends(-EFAULT, &msg);
		msg = right;
		msg.msg_control = address;
		msg.msg_controllen = sizeof(control);
		/* 32-bit processes can't send any */
		sends(sizeof(long) == 4 ? -EOPNOTSUPP : -EFAULT, &msg);
	}
	msg = right;
	msg.msg_iovlen = 1025;
	receives(-EMSGSIZE, &msg);
	sends(-EMSGSIZE, &msg);
}

static void check_right(void)
{
	char text[8];
	struct iovec iov = { text, sizeof(text) };
	struct sockaddr_in from;
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};

	receives(4, &msg);
	CHECK_BYTES(text, "data", 4);
	CHECK_IS(msg.msg_namelen, sizeof(from));
	CHECK_IS(from.sin_family, AF_INET);
}

void test(void)
{
	ch = new_channel();
	udp_pair(pair);
	h = add(ch, pair[0], 1);
	for (size_t n = 0; n < NOWHERES; n++) {
		receives(-EFAULT, (void *)(uintptr_t)nowhere[n]);
		sends(-EFAULT, (void *)(uintptr_t)nowhere[n]);
		check_inside((void *)(uintptr_t)nowhere[n]);
	}
	/* lengths, names and flags are to be written there */
	receives(-EFAULT, read_only_page());
	check_right();
	SYS(close(ch));
}
