/* SPDX-License-Identifier: MIT */
/*
 * A channel's descriptor that is sent to another process is of no use there,
 * and doesn't keep the channel beyond its process; not even one that is on its
 * way in a socket that the channel has registered, so that each keeps the
 * other.
 */
#include "channel.h"
#include "machine.h"
#include "processes.h"

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int))];
};

static void send_fd(int through, int fd)
{
	union control control = { .header = {
					  .cmsg_len = CMSG_LEN(sizeof(int)),
					  .cmsg_level = SOL_SOCKET,
					  .cmsg_type = SCM_RIGHTS,
				  } };
	struct iovec iov = { "f", 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	SYS(sendmsg(through, &msg, 0));
}

static int receive_fd(int through)
{
	union control control;
	char byte;
	int fd;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	SYS(recvmsg(through, &msg, MSG_CMSG_CLOEXEC));
	CHECK_IS(control.header.cmsg_type, SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

static int through[2], listener;

static void send_channel(void *arg)
{
	int ch = new_channel();
	uint32_t h = add(ch, listener, 1);

	(void)arg;
	ASK(ch, ACCEPT, h, .len = 1);
	CHECK(NEXT_OF(ch).result >= 0);
	send_fd(through[0], ch);
	pause();
}

static void check_sent(void)
{
	struct megapipe_run run = { .timeout_ns = PATIENCE_NS };
	pid_t child = start(send_channel, NULL);
	int client = connect_to(listener), ch = receive_fd(through[1]);

	CHECK_IS(try_run(ch, &run), -EPERM);
	CHECK(try_setup(ch, LWSOCKETS) < 0);
	end(child);
	receive_end(client);
	CHECK(try_run(ch, &run) < 0);
	SYS(close(client));
	SYS(close(ch));
	await_module_users(0);
}

/* The channel keeps the sockets, in whose queues the channel is. */
static void circle_then_end(void *arg)
{
	int ch = new_channel(), pair[2];

	(void)arg;
	unix_pair(pair, SOCK_STREAM);
	add(ch, pair[0], 1);
	add(ch, pair[1], 2);
	send_fd(pair[0], ch);
	send_fd(pair[1], ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
	SYS(close(ch));
}

static void circle_then_stay(void *arg)
{
	circle_then_end(arg);
	pause();
}

void test(void)
{
	pid_t child;

	unix_pair(through, SOCK_STREAM);
	listener = listen_tcp(AF_INET);
	check_sent();
	in_child(circle_then_end, NULL);
	await_module_users(0);
	child = start(circle_then_stay, NULL);
	poll(NULL, 0, 50);
	end(child);
	await_module_users(0);
}
