/* SPDX-License-Identifier: MIT */
/*
 * A handle with several queues takes as many connections as were asked for,
 * and sees one that comes to any of them.
 */
#include "check.h"

#define CPUS 16
#define CLIENTS 12

static int cpus[CPUS], ncpus;

static cpu_set_t all_of_them(void)
{
	cpu_set_t mask;

	CPU_ZERO(&mask);
	for (int i = 0; i < ncpus; i++)
		CPU_SET(cpus[i], &mask);
	return mask;
}

static void connect_from_each(int listener, int clients[CLIENTS])
{
	for (int i = 0; i < CLIENTS; i++) {
		pin_to(cpus[i % ncpus]);
		clients[i] = connect_to(listener);
	}
}

static void accept_as_asked(struct mp_channel *ch, struct mp_handle *h,
			    uint32_t count)
{
	uint64_t before = stats_of(ch).accepted;

	CHECK_IS(mp_accept(h, count, false), 0);
	for (uint32_t i = 0; i < count; i++) {
		struct mp_event ev = NEXT(ch);

		CHECK(ev.cmd == MP_ACCEPT && ev.result >= 0);
		SYS(close(ev.result));
	}
	EXPECT_NONE(ch);
	CHECK_IS(stats_of(ch).accepted, before + count);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET), clients[CLIENTS];
	struct mp_handle *h;
	cpu_set_t mask;

	if (!engine_has("partition"))
		skip("this kernel can't steer connections by CPU");
	ncpus = allowed_cpus(cpus, CPUS);
	mask = all_of_them();
	CHECK_IS(mp_register(ch, listener, NULL, &mask, &h), 0);
	connect_from_each(listener, clients);
	accept_as_asked(ch, h, 1);
	accept_as_asked(ch, h, 3);
	accept_as_asked(ch, h, CLIENTS - 4);
	for (int i = 0; i < CLIENTS; i++)
		receive_end(clients[i]);
	/* armed before it comes, by turns from each CPU */
	for (int i = 0; i < 3 * ncpus; i++) {
		int client;
		struct mp_event ev;

		CHECK_IS(mp_accept(h, 1, false), 0);
		EXPECT_NONE(ch);
		pin_to(cpus[i % ncpus]);
		client = connect_to(listener);
		ev = NEXT(ch);
		CHECK(ev.cmd == MP_ACCEPT && ev.result >= 0);
		SYS(close(ev.result));
		SYS(close(client));
	}
	mp_destroy(ch);
}
