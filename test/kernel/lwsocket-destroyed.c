/* SPDX-License-Identifier: MIT */
/*
 * An administrator may destroy a connection from outside (ss --kill): what is
 * in flight on its lwsocket ends.
 */
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>

#include "channel.h"
#include "processes.h"

static char large[4 << 20];

static struct inet_diag_sockid id_of(int listener, int client)
{
	struct address from = address_of(listener), to = address_of(client);
	struct sockaddr_in *a = (struct sockaddr_in *)&from.storage;
	struct sockaddr_in *b = (struct sockaddr_in *)&to.storage;

	return (struct inet_diag_sockid){
		.idiag_sport = a->sin_port,
		.idiag_dport = b->sin_port,
		.idiag_src = { a->sin_addr.s_addr },
		.idiag_dst = { b->sin_addr.s_addr },
		.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE },
	};
}

static int try_destroy(struct inet_diag_sockid id)
{
	int fd = SYS(
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
	const struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
	} message = {
		.header = {
			.nlmsg_len = sizeof(message),
			.nlmsg_type = SOCK_DESTROY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		},
		.request = {
			.sdiag_family = AF_INET,
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = -1,
			.id = id,
		},
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[256];
	} answer;

	send_all(fd, &message, sizeof(message));
	SYS(read(fd, &answer, sizeof(answer)));
	SYS(close(fd));
	CHECK_IS(answer.header.nlmsg_type, NLMSG_ERROR);
	return answer.error.error;
}

void test(void)
{
	int ch = new_channel(), listener, client, r;
	char text[8];
	uint32_t h;

	need_root();
	listener = listen_tcp(AF_INET);
	small_buffers((int[2]){ listener, listener });
	h = accept_lwsocket(ch, listener, &client, 1);
	ASK(ch, READ, h, BYTES(text, 8));
	ASK(ch, WRITE, h, BYTES(large, sizeof(large)));
	STAYS_QUIET(ch);
	r = try_destroy(id_of(listener, client));
	if (r == -EOPNOTSUPP)
		skip("this kernel can't destroy connections");
	CHECK_IS(r, 0);
	for (int i = 0; i < 2; i++)
		CHECK(NEXT_OF(ch).result < 0);
	ASK(ch, CLOSE, h, .arg = -1);
	COMPLETES(ch, 1, CLOSE, 0);
	check_usable(ch);
	SYS(close(ch));
}
