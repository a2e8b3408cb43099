/* SPDX-License-Identifier: MIT */
/*
 * A parent that forks again and again, with receives armed, buffers in use and
 * writes waiting, is not disturbed, and the children end with nothing open of
 * it.
 */
#include "check.h"

#define CONNS 1000
#define HELD 50
#define FORKS 30
#define SIZE 1000

static int clients[CONNS];
static struct mp_handle *conns[CONNS];
static struct mp_event held[HELD];

static void accept_all(struct mp_channel *ch, int listen_fd)
{
	struct mp_handle *listener = make_handle(ch, listen_fd);

	CHECK_IS(mp_accept(listener, MP_ACCEPT_ALL, true), 0);
	for (int i = 0; i < CONNS; i++) {
		clients[i] = connect_to(listen_fd);
		conns[i] = make_handle(ch, NEXT(ch).result);
		CHECK_IS(mp_recv(conns[i]), 0);
	}
	EXPECT_NONE(ch);
}

static void hold(struct mp_channel *ch)
{
	char text[SIZE];

	for (int i = 0; i < HELD; i++) {
		fill(text, SIZE, i);
		send_all(clients[i], text, SIZE);
		held[i] = EXPECT(ch, conns[i], MP_RECV, SIZE);
	}
}

static void check_child(int expected_fds)
{
	pid_t child = SYS(fork());

	if (child == 0) {
		CHECK_IS(open_fds(), expected_fds);
		CHECK_IS(mp_write(conns[0], "x", 1), -EPERM);
		_exit(0);
	}
	child_passes(child);
}

/* Something each way, over a fork in between. */
static void exchange(struct mp_channel *ch, int i, int expected_fds)
{
	static char answer[SIZE], text[SIZE];
	struct mp_event ev;

	fill(text, SIZE, i);
	send_all(clients[i], text, SIZE);
	check_child(expected_fds);
	ev = EXPECT(ch, conns[i], MP_RECV, SIZE);
	check_filled(ev.recv.data, SIZE, i);
	CHECK_IS(mp_write(conns[i], ev.recv.data, SIZE), 0);
	CHECK_IS(mp_recv(conns[i]), 0);
	check_child(expected_fds);
	EXPECT(ch, conns[i], MP_WRITE, SIZE);
	CHECK_IS(mp_release(ch, &ev), 0);
	receive_all(clients[i], answer, SIZE);
	check_filled(answer, SIZE, i);
}

void test(void)
{
	int listen_fd = listen_tcp(AF_INET), fds = open_fds();
	struct mp_channel *ch;

	if (!limit_fds(2 * CONNS + 100))
		skip("needs %d descriptors", 2 * CONNS + 100);
	ch = make_channel();
	accept_all(ch, listen_fd);
	hold(ch);
	for (int i = 0; i < FORKS; i++)
		exchange(ch, HELD + i, fds + CONNS);
	for (int i = 0; i < HELD; i++) {
		check_filled(held[i].recv.data, SIZE, i);
		CHECK_IS(mp_release(ch, &held[i]), 0);
	}
	mp_destroy(ch);
	for (int i = 0; i < CONNS; i++) {
		receive_end(clients[i]);
		SYS(close(clients[i]));
	}
	SYS(close(listen_fd));
}
