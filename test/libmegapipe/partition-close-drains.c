/* SPDX-License-Identifier: MIT */
/*
 * mp_close() of a partitioned listener accepts what waits in its own accept
 * queue before that is closed: no connection is reset. Of lwsockets that is so
 * while there are any; it isn't waited for more.
 */
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "servers.h"

#define CLIENTS 30
#define ROOM 4

/* It waits in a queue for certain: something sent was acknowledged. */
static int waiting_client(int listener)
{
	int fd = connect_to(listener), unacknowledged;

	send_all(fd, "hi", 2);
	do {
		SYS(ioctl(fd, SIOCOUTQ, &unacknowledged));
	} while (unacknowledged);
	return fd;
}

static void greet(struct mp_channel *ch, int id)
{
	struct mp_handle *h = make_handle(ch, id);

	CHECK_IS(mp_recv(h), 0);
}

static void answer(struct mp_channel *ch, struct mp_event ev)
{
	CHECK_IS(ev.result, 2);
	CHECK_IS(mp_release(ch, &ev), 0);
	CHECK_IS(mp_write(ev.handle, "hello", 5), 0);
	CHECK_IS(mp_close(ev.handle), 0);
}

/* Till the listener has closed, then till the connections have. */
static void serve(struct mp_channel *ch, const struct mp_handle *listener)
{
	bool is_closed = false;

	while (!is_closed || stats_of(ch).handles > 0) {
		struct mp_event ev = NEXT(ch);

		if (ev.cmd == MP_ACCEPT) {
			CHECK(!is_closed && ev.result >= 0);
			greet(ch, ev.result);
		} else if (ev.cmd == MP_RECV) {
			answer(ch, ev);
		} else if (ev.cmd == MP_CLOSE && ev.handle == listener) {
			is_closed = true;
		}
	}
}

static void check_close(int listener, int cpu, bool is_lwsocket,
			unsigned int batch)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .batch = batch });
	int clients[CLIENTS], fds = open_fds();
	cpu_set_t mask = cpu_mask_of(cpu);
	struct mp_handle *h;
	char text[5];

	CHECK_IS(mp_register(ch, SYS(dup(listener)), NULL, &mask, &h), 0);
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = waiting_client(listener);
	CHECK_IS(mp_accept(h, 1, is_lwsocket), 0);
	greet(ch, NEXT(ch).result);
	CHECK_IS(mp_close(h), 0);
	serve(ch, h);
	for (int i = 0; i < CLIENTS; i++) {
		receive_all(clients[i], text, 5);
		receive_end(clients[i]);
		SYS(close(clients[i]));
	}
	CHECK_IS(stats_of(ch).accepted, CLIENTS);
	CHECK_IS(open_fds(), fds);
	mp_destroy(ch);
}

/* "hello", or a reset. */
static bool is_answered(int client)
{
	char text[5];
	ssize_t n = recv(client, text, sizeof(text), MSG_WAITALL);

	CHECK(n == sizeof(text) || (n < 0 && errno == ECONNRESET));
	SYS(close(client));
	return n > 0;
}

static void check_close_full(int listener, int cpu)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .max_lwsockets = ROOM });
	int clients[CLIENTS], ids[ROOM], accepted = 0, answered = 0;
	cpu_set_t mask = cpu_mask_of(cpu);
	struct mp_handle *h;
	struct mp_event ev;

	CHECK_IS(mp_register(ch, SYS(dup(listener)), NULL, &mask, &h), 0);
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = waiting_client(listener);
	CHECK_IS(mp_accept(h, 1, true), 0);
	ids[accepted++] = NEXT(ch).result;
	CHECK_IS(mp_close(h), 0);
	while ((ev = NEXT(ch)).cmd == MP_ACCEPT) {
		CHECK(ev.result >= MP_LWSOCKET_BASE && accepted < ROOM);
		ids[accepted++] = ev.result;
	}
	CHECK(ev.handle == h && ev.cmd == MP_CLOSE && ev.result == 0);
	for (int i = 0; i < accepted; i++)
		greet(ch, ids[i]);
	while (stats_of(ch).handles > 0)
		if ((ev = NEXT(ch)).cmd == MP_RECV)
			answer(ch, ev);
	for (int i = 0; i < CLIENTS; i++)
		answered += is_answered(clients[i]);
	CHECK_IS(accepted, ROOM);
	CHECK_IS(answered, ROOM);
	mp_destroy(ch);
}

void test(void)
{
	int cpus[MOST_CPUS], listener = listen_tcp(AF_INET);

	need_cpus(cpus);
	pin_to(cpus[0]);
	for (int i = 0; i < 4; i++)
		check_close(listener, cpus[0], i & 1, i & 2 ? 1 : 32);
	check_close_full(listener, cpus[0]);
	SYS(close(listener));
}
