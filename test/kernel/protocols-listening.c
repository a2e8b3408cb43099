/* SPDX-License-Identifier: MIT */
/*
 * Of all protocols that can listen, some are accepted from, and the others are
 * left to accept(): whose sockets nobody has looked at for what they hold.
 */
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "channel.h"
#include "processes.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
/* IPPROTO_SMC of newer headers */
#define PROTOCOL_SMC 256

static int ch, listeners;

static bool is_accepted(int family, int type, int protocol)
{
	if (family == AF_INET || family == AF_INET6)
		return type == SOCK_STREAM &&
		       (protocol == 0 || protocol == IPPROTO_TCP ||
			protocol == IPPROTO_MPTCP);
	return family == AF_UNIX || family == AF_VSOCK;
}

/* Some families listen only where they have a name. */
static void give_name(int fd, int family)
{
	const struct sockaddr_vm vsock = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_ANY,
		.svm_port = VMADDR_PORT_ANY,
	};
	const struct sockaddr any = { .sa_family = family };
	int ignored;

	if (family == AF_VSOCK)
		ignored = bind(fd, (const struct sockaddr *)&vsock,
			       sizeof(vsock));
	else
		ignored = bind(fd, &any,
			       family == AF_UNIX ? sizeof(any.sa_family) :
						   sizeof(any));
	(void)ignored;
}

static void check(int family, int type, int protocol)
{
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	int want = is_accepted(family, type, protocol) ? -EAGAIN : -EOPNOTSUPP;
	uint32_t h;

	if (fd < 0)
		return;
	give_name(fd, family);
	if (listen(fd, 5) == 0) {
		listeners++;
		printf("family %d, type %d, protocol %d\n", family, type,
		       protocol);
		h = add(ch, fd, 1);
		CHECK_IS(OUTCOME(ch, ACCEPT, h, .len = 1,
				 .flags = MEGAPIPE_F_NOWAIT),
			 want);
		drop(ch, h);
	}
	SYS(close(fd));
}

/* Other families have one protocol of a type. */
static void check_family(int family)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DCCP };
	static const int protocols[] = { 0, IPPROTO_SCTP, IPPROTO_DCCP,
					 IPPROTO_MPTCP, PROTOCOL_SMC };
	int count = family == AF_INET || family == AF_INET6 ? 5 : 1;

	for (int type = 0; type < 3; type++)
		for (int i = 0; i < count; i++)
			check(family, types[type], protocols[i]);
}

void test(void)
{
	need_root();
	ch = new_channel();
	for (int family = 1; family < AF_MAX; family++) {
		int fd = socket(family, SOCK_STREAM, 0);

		/* nobody is asked again for what isn't there */
		if (fd < 0 && errno == EAFNOSUPPORT)
			continue;
		if (fd >= 0)
			SYS(close(fd));
		check_family(family);
	}
	/* TCP and UNIX sockets at least */
	CHECK(listeners >= 4);
	SYS(close(ch));
}
