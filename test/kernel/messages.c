/* SPDX-License-Identifier: MIT */
/* RECVMSG and SENDMSG carry addresses, control messages and their flags. */
#include <netinet/in.h>

#include "channel.h"

static int ch;

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int))];
};

static int bound_udp(void)
{
	const struct sockaddr_in name = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = SYS(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	SYS(bind(fd, (const struct sockaddr *)&name, sizeof(name)));
	return fd;
}

static void check_addresses(void)
{
	int receiver = bound_udp(), sender = bound_udp();
	struct address to = address_of(receiver);
	struct sockaddr_in from;
	char text[8];
	struct iovec out = { "hello", 5 }, in = { text, sizeof(text) };
	struct msghdr send = { .msg_name = &to.storage,
			       .msg_namelen = to.len,
			       .msg_iov = &out,
			       .msg_iovlen = 1 };
	struct msghdr receive = { .msg_name = &from,
				  .msg_namelen = sizeof(from),
				  .msg_iov = &in,
				  .msg_iovlen = 1 };
	uint32_t h;

	h = add(ch, receiver, 1);
	ASK(ch, RECVMSG, h, .addr = ADDRESS(&receive));
	STAYS_QUIET(ch);
	CHECK_IS(OUTCOME(ch, SENDMSG, add(ch, sender, 2),
			 .addr = ADDRESS(&send)),
		 5);
	COMPLETES(ch, 1, RECVMSG, 5);
	CHECK_IS(receive.msg_namelen, sizeof(from));
	CHECK_IS(receive.msg_flags, 0);
	to = address_of(sender);
	CHECK_IS(from.sin_port, ((struct sockaddr_in *)&to.storage)->sin_port);
	drop(ch, h);
}

static void check_flags(void)
{
	int pair[2];
	char text[2];
	struct iovec in = { text, sizeof(text) };
	struct msghdr msg = { .msg_iov = &in, .msg_iovlen = 1 };
	uint32_t h;

	unix_pair(pair, SOCK_DGRAM);
	h = add(ch, pair[0], 1);
	send_all(pair[1], "four", 4);
	CHECK_IS(OUTCOME(ch, RECVMSG, h, .addr = ADDRESS(&msg),
			 .arg = MSG_PEEK),
		 2);
	CHECK_IS(msg.msg_flags, MSG_TRUNC);
	CHECK_IS(OUTCOME(ch, RECVMSG, h, .addr = ADDRESS(&msg),
			 .arg = MSG_PEEK | MSG_TRUNC),
		 4);
	CHECK_IS(OUTCOME(ch, RECVMSG, h, .addr = ADDRESS(&msg)), 2);
	/* it never waits inside, whatever the flags say */
	ASK(ch, RECVMSG, h, .addr = ADDRESS(&msg), .arg = MSG_WAITALL);
	STAYS_QUIET(ch);
	drop(ch, h);
}

/* A descriptor goes through, and is closed on execution if asked for. */
static void check_descriptor(void)
{
	int pair[2], fds[2];
	char byte;
	union control out = { .header = {
				      .cmsg_len = CMSG_LEN(sizeof(int)),
				      .cmsg_level = SOL_SOCKET,
				      .cmsg_type = SCM_RIGHTS,
			      } };
	union control in;
	struct iovec iov = { &byte, 1 };
	struct msghdr send = { .msg_iov = &iov,
			       .msg_iovlen = 1,
			       .msg_control = &out,
			       .msg_controllen = sizeof(out) };
	struct msghdr receive = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = &in,
				  .msg_controllen = sizeof(in) };
	int64_t sent;

	unix_pair(pair, SOCK_STREAM);
	SYS(pipe2(fds, 0));
	memcpy(CMSG_DATA(&out.header), &fds[1], sizeof(int));
	sent = OUTCOME(ch, SENDMSG, add(ch, pair[1], 2),
		       .addr = ADDRESS(&send));
	if (sent == -EOPNOTSUPP && sizeof(long) == 4) /* 32-bit processes */
		return;
	CHECK_IS(sent, 1);
	CHECK_IS(OUTCOME(ch, RECVMSG, add(ch, pair[0], 1),
			 .addr = ADDRESS(&receive), .arg = MSG_CMSG_CLOEXEC),
		 1);
	CHECK_IS(in.header.cmsg_type, SCM_RIGHTS);
	memcpy(&fds[1], CMSG_DATA(&in.header), sizeof(int));
	send_all(fds[1], "through", 7);
	CHECK(readable(fds[0], 0));
	CHECK_IS(receive.msg_flags & MSG_CTRUNC, 0);
}

static void check_no_socket(void)
{
	struct msghdr msg = { 0 };
	int fds[2];

	SYS(pipe(fds));
	CHECK_IS(OUTCOME(ch, RECVMSG, add(ch, fds[0], 1),
			 .addr = ADDRESS(&msg)),
		 -ENOTSOCK);
	CHECK_IS(OUTCOME(ch, SENDMSG, add(ch, fds[1], 1),
			 .addr = ADDRESS(&msg)),
		 -ENOTSOCK);
}

void test(void)
{
	ch = new_channel();
	check_addresses();
	check_flags();
	check_descriptor();
	check_no_socket();
	SYS(close(ch));
}
