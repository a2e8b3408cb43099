/* SPDX-License-Identifier: MIT */
/*
 * A listener over IPv6 whose options were set before is partitioned like any:
 * what is accepted has them too.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "servers.h"

static int option_of(struct mp_handle *h, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	CHECK_IS(mp_getsockopt(h, level, name, &value, &len), 0);
	return value;
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET6), cpus[MOST_CPUS], one = 1;
	struct mp_handle *h;
	cpu_set_t mask;

	need_cpus(cpus);
	mask = cpu_mask_of(cpus[0]);
	SYS(setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	SYS(setsockopt(listener, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)));
	CHECK_IS(mp_register(ch, listener, NULL, &mask, &h), 0);
	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	pin_to(cpus[0]);
	for (int i = 0; i < 10; i++) {
		int client = connect_to(listener), fd = NEXT(ch).result;
		struct mp_handle *conn = make_handle(ch, fd);

		CHECK(option_of(conn, IPPROTO_TCP, TCP_NODELAY));
		CHECK(option_of(conn, SOL_SOCKET, SO_KEEPALIVE));
		CHECK_IS(mp_unregister(conn), 0);
		check_stream(ch, fd, client);
	}
	mp_destroy(ch);
	SYS(close(listener));
}
