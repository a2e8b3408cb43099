/* SPDX-License-Identifier: MIT */
/*
 * Binding to the port of connections is decided by their user, too: it comes
 * out the same for lwsockets and for descriptors.
 */
#include <netinet/in.h>

#include "channel.h"
#include "processes.h"

static void reuse_port(int fd)
{
	const int one = 1;

	SYS(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)));
}

static int listen_reusing(void)
{
	const struct sockaddr_in name = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	reuse_port(fd);
	SYS(bind(fd, (const struct sockaddr *)&name, sizeof(name)));
	SYS(listen(fd, 10));
	return fd;
}

static int try_bind(const struct address *a)
{
	int fd = SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), r;

	reuse_port(fd);
	r = TRY_SYS(bind(fd, (const struct sockaddr *)&a->storage, a->len));
	SYS(close(fd));
	return r;
}

static void conflicts(void *arg)
{
	become(NOBODY);
	CHECK_IS(try_bind(arg), -EADDRINUSE);
}

static void check_kind(bool by_call)
{
	int ch = new_channel(), listener = listen_reusing(), client;
	struct address a = address_of(listener);
	uint32_t h = add(ch, listener, 1);

	client = connect_to(listener);
	if (by_call)
		SYS(accept(listener, NULL, NULL));
	else
		CHECK(OUTCOME(ch, ACCEPT, h, .len = 1) >= 0);
	/* nobody has the port any more but the connection */
	ASK(ch, CLOSE, h, .arg = listener);
	COMPLETES(ch, 1, CLOSE, 0);
	CHECK_IS(try_bind(&a), 0);
	in_child(conflicts, &a);
	CHECK_IS(try_bind(&a), 0);
	SYS(close(client));
	SYS(close(ch));
}

void test(void)
{
	need_root();
	check_kind(true);
	check_kind(false);
}
