/* SPDX-License-Identifier: MIT */
/* With MEGAPIPE_F_PEER a completion tells who connected. */
#include <net/if.h>
#include <netinet/in.h>

#include "channel.h"

static int ch;

static void check_v4(const struct megapipe_completion *c, int client)
{
	struct address a = address_of(client);
	struct sockaddr_in *own = (struct sockaddr_in *)&a.storage;

	CHECK_IS(c->flags, MEGAPIPE_C_IPV4);
	CHECK_IS(c->port, own->sin_port);
	CHECK_BYTES(c->addr, &own->sin_addr, 4);
}

static void check_v6(const struct megapipe_completion *c, int client)
{
	struct address a = address_of(client);
	struct sockaddr_in6 *own = (struct sockaddr_in6 *)&a.storage;

	CHECK_IS(c->flags, MEGAPIPE_C_IPV6);
	CHECK_IS(c->port, own->sin6_port);
	CHECK_IS(c->info, own->sin6_scope_id);
	CHECK_BYTES(c->addr, &own->sin6_addr, 16);
}

static void check_none(const struct megapipe_completion *c, int client)
{
	(void)client;
	CHECK_IS(c->flags, 0);
	CHECK_IS(c->port, 0);
	CHECK_IS(c->info, 0);
	for (int i = 0; i < 16; i++)
		CHECK_IS(c->addr[i], 0);
}

static void check_listener(int listener, int flags,
			   void (*check)(const struct megapipe_completion *,
					 int))
{
	uint32_t h = add(ch, listener, 1);

	int client = connect_to(listener);
	struct megapipe_completion c;

	ASK(ch, ACCEPT, h, .len = 1, .flags = flags);
	c = NEXT_OF(ch);
	CHECK(c.result >= 0);
	check(&c, client);
	drop(ch, c.result);
	SYS(close(client));
	drop(ch, h);
}

static int listen_unix(void)
{
	const struct sockaddr name = { .sa_family = AF_UNIX };
	int fd = SYS(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	SYS(bind(fd, &name, sizeof(name.sa_family))); /* a name of its own */
	SYS(listen(fd, 10));
	return fd;
}

void test(void)
{
	int v4 = listen_tcp(AF_INET);

	ch = new_channel();
	check_listener(v4, MEGAPIPE_F_PEER, check_v4);
	check_listener(v4, 0, check_none);
	check_listener(listen_unix(), MEGAPIPE_F_PEER, check_none);
	check_listener(listen_tcp(AF_INET6), MEGAPIPE_F_PEER, check_v6);
	SYS(close(ch));
}
