/* SPDX-License-Identifier: MIT */
/*
 * A channel that is idle takes connections that wait for a busy one which
 * shares its listening socket, as it would take its own; where both have asked
 * for that by mp_options.steal_us. Both are this thread's: the owner is busy as
 * long as we don't dispatch it.
 */
#include "servers.h"

#define MANY 20

static int cpus[MOST_CPUS];

struct pair {
	struct mp_channel *owner, *thief;
	struct mp_handle *owners, *thiefs;
	int listener;
};

static struct mp_channel *channel(uint64_t steal_us)
{
	return make_channel_with((struct mp_options){
		.steal_us = steal_us,
		.max_lwsockets = MANY,
		.accept_peer = true,
	});
}

static struct mp_handle *listen_part(struct mp_channel *ch, int fd, int cpu)
{
	cpu_set_t mask = cpu_mask_of(cpu);
	struct mp_handle *h;

	CHECK_IS(mp_register(ch, fd, NULL, &mask, &h), 0);
	return h;
}

/* The owner has the CPU that we are on, and so the clients' connections. */
static struct pair pair_of(uint64_t owner_us, uint64_t thief_us)
{
	struct pair p = {
		.owner = channel(owner_us),
		.thief = channel(thief_us),
		.listener = listen_tcp(AF_INET),
	};

	p.owners = listen_part(p.owner, p.listener, cpus[0]);
	p.thiefs = listen_part(p.thief, p.listener, cpus[1]);
	CHECK_IS(mp_accept(p.owners, MP_ACCEPT_ALL, false), 0);
	CHECK_IS(mp_flush(p.owner), 0);
	return p;
}

static void end(struct pair *p)
{
	mp_destroy(p->owner);
	mp_destroy(p->thief);
	SYS(close(p->listener));
}

static void connect_some(const struct pair *p, int *clients, int count)
{
	for (int i = 0; i < count; i++)
		clients[i] = connect_to(p->listener);
}

static void close_some(int *clients, int count)
{
	for (int i = 0; i < count; i++)
		SYS(close(clients[i]));
}

static void check_peer(struct mp_handle *h, const struct mp_event *ev)
{
	struct address peer = { .len = sizeof(peer.storage) };

	CHECK_IS(mp_getpeername(h, (struct sockaddr *)&peer.storage, &peer.len),
		 0);
	if (!ev->accept.peer)
		return;
	CHECK_IS(ev->accept.peer_len, peer.len);
	CHECK_BYTES(ev->accept.peer, &peer.storage, peer.len);
}

static struct mp_handle *accept_one(struct mp_channel *ch,
				    struct mp_handle *listener, bool is_lw)
{
	struct mp_event ev = NEXT(ch);
	struct mp_handle *h;

	CHECK(ev.handle == listener);
	CHECK_IS(ev.cmd, MP_ACCEPT);
	CHECK(ev.result >= 0);
	CHECK_IS(ev.result >= MP_LWSOCKET_BASE, is_lw);
	h = make_handle(ch, ev.result);
	check_peer(h, &ev);
	return h;
}

static void answer(struct mp_channel *ch, struct mp_handle *h)
{
	CHECK_IS(mp_write(h, "!", 1), 0);
	EXPECT(ch, h, MP_WRITE, 1);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
}

static void check_answered(int *clients, int count)
{
	char byte;

	for (int i = 0; i < count; i++) {
		receive_all(clients[i], &byte, 1);
		receive_end(clients[i]);
	}
	close_some(clients, count);
}

static void check_stolen(bool is_lwsocket)
{
	struct pair p = pair_of(1, 1);
	int clients[MANY];

	CHECK_IS(mp_accept(p.thiefs, MP_ACCEPT_ALL, is_lwsocket), 0);
	connect_some(&p, clients, MANY);
	for (int i = 0; i < MANY; i++)
		answer(p.thief, accept_one(p.thief, p.thiefs, is_lwsocket));
	check_answered(clients, MANY);
	CHECK_IS(stats_of(p.thief).accepts_stolen, MANY);
	CHECK_IS(stats_of(p.thief).accepted, MANY);
	EXPECT_NONE(p.owner);
	connect_some(&p, clients, 1);
	answer(p.owner, accept_one(p.owner, p.owners, false));
	check_answered(clients, 1);
	CHECK_IS(stats_of(p.owner).accepts_stolen, 0);
	end(&p);
}

/* As many as are wanted, and none after mp_accept() with 0. */
static void check_wanted(void)
{
	struct pair p = pair_of(1, 1);
	int clients[MANY];

	connect_some(&p, clients, MANY);
	CHECK_IS(mp_accept(p.thiefs, 3, false), 0);
	for (int i = 0; i < 3; i++)
		accept_one(p.thief, p.thiefs, false);
	EXPECT_NONE(p.thief);
	CHECK_IS(mp_accept(p.thiefs, MP_ACCEPT_ALL, false), 0);
	accept_one(p.thief, p.thiefs, false);
	CHECK_IS(mp_accept(p.thiefs, 0, false), 0);
	EXPECT_NONE(p.thief);
	for (int i = 0; i < MANY - 4; i++)
		accept_one(p.owner, p.owners, false);
	close_some(clients, MANY);
	end(&p);
}

/* While some are free that no queue of the thief's own needs. */
static void check_lwsockets(void)
{
	struct pair p = pair_of(1, 1);
	struct mp_handle *first;
	struct mp_event ev;
	int clients[MANY + 1];

	CHECK_IS(mp_accept(p.thiefs, MP_ACCEPT_ALL, true), 0);
	connect_some(&p, clients, MANY + 1);
	first = accept_one(p.thief, p.thiefs, true);
	while (mp_dispatch(p.thief, &ev, QUIET_US) == 1)
		CHECK(ev.cmd == MP_ACCEPT && ev.result >= 0);
	CHECK(stats_of(p.thief).accepted < MANY + 1);
	CHECK_IS(mp_unregister(first), 0);
	accept_one(p.thief, p.thiefs, true);
	EXPECT_NONE(p.thief);
	accept_one(p.owner, p.owners, false);
	close_some(clients, MANY + 1);
	end(&p);
}

/* Who isn't in it neither takes nor gives; no more from who isn't partitioned.
 */
static void check_off(uint64_t owner_us, uint64_t thief_us)
{
	struct pair p = pair_of(owner_us, thief_us);
	int client;

	CHECK_IS(mp_accept(p.thiefs, MP_ACCEPT_ALL, false), 0);
	connect_some(&p, &client, 1);
	EXPECT_NONE(p.thief);
	CHECK_IS(stats_of(p.thief).accepts_stolen, 0);
	answer(p.owner, accept_one(p.owner, p.owners, false));
	check_answered(&client, 1);
	end(&p);
}

/* What a handle without a mask takes is nobody's but all's. */
static void check_other_socket(void)
{
	struct pair p = pair_of(1, 1);
	int other = listen_tcp(AF_INET), client;

	CHECK_IS(mp_unregister(p.thiefs), 0);
	p.thiefs = listen_part(p.thief, other, cpus[1]);
	CHECK_IS(mp_accept(p.thiefs, MP_ACCEPT_ALL, false), 0);
	connect_some(&p, &client, 1);
	EXPECT_NONE(p.thief);
	answer(p.owner, accept_one(p.owner, p.owners, false));
	check_answered(&client, 1);
	end(&p);
	SYS(close(other));
}

void test(void)
{
	need_cpus(cpus);
	pin_to(cpus[0]);
	check_stolen(false);
	check_stolen(true);
	check_wanted();
	check_lwsockets();
	check_off(0, 1);
	check_off(1, 0);
	check_other_socket();
}
