/* SPDX-License-Identifier: MIT */
/*
 * A channel that was made by one thread and not used yet becomes another's,
 * and is then its alone. One that was used stays where it is.
 */
#include <pthread.h>

#include "check.h"

static struct mp_channel *ch;

static void run(void *(*body)(void *))
{
	pthread_t thread;

	CHECK_IS(pthread_create(&thread, NULL, body, NULL), 0);
	CHECK_IS(pthread_join(thread, NULL), 0);
}

static void *pass_on(void *arg)
{
	CHECK_IS(mp_pending(ch), -EPERM);
	CHECK_IS(mp_adopt(ch), 0);
	CHECK_IS(mp_pending(ch), 0);
	/* a channel of its own, with another thread's number */
	mp_destroy(make_channel());
	return arg;
}

static void exchange(void)
{
	int listener = listen_tcp(AF_INET), client = connect_to(listener);
	struct mp_handle *h = make_handle(ch, listener), *conn;
	struct mp_event ev;
	int pair[2];

	CHECK_IS(mp_accept(h, 1, true), 0);
	conn = make_handle(ch, NEXT(ch).result);
	CHECK_IS(mp_recv(conn), 0);
	send_all(client, "hello", 5);
	ev = EXPECT(ch, conn, MP_RECV, 5);
	CHECK_BYTES(ev.recv.data, "hello", 5);
	CHECK_IS(mp_release(ch, &ev), 0);
	unix_pair(pair, SOCK_STREAM);
	check_stream(ch, pair[0], pair[1]);
	SYS(close(client));
	SYS(close(listener));
}

static void *adopt(void *arg)
{
	CHECK_IS(mp_adopt(ch), 0);
	exchange();
	CHECK_IS(mp_adopt(ch), 0);
	mp_destroy(ch);
	return arg;
}

static void *be_refused(void *arg)
{
	CHECK_IS(mp_adopt(ch), -EBUSY);
	CHECK_IS(mp_pending(ch), -EPERM);
	return arg;
}

static void check_used(void)
{
	int pair[2];

	ch = make_channel();
	EXPECT_NONE(ch);
	run(be_refused);
	unix_pair(pair, SOCK_STREAM);
	check_stream(ch, pair[0], pair[1]);
	mp_destroy(ch);

	ch = make_channel();
	unix_pair(pair, SOCK_STREAM);
	CHECK_IS(mp_unregister(make_handle(ch, pair[0])), 0);
	run(be_refused);
	check_stream(ch, pair[0], pair[1]);
	mp_destroy(ch);
}

static void check_child(void)
{
	pid_t child;

	ch = make_channel();
	child = SYS(fork());
	if (child == 0) {
		CHECK_IS(mp_adopt(ch), -EPERM);
		CHECK_IS(mp_pending(ch), -EPERM);
		_exit(0);
	}
	child_passes(child);
	CHECK_IS(mp_pending(ch), 0);
	mp_destroy(ch);
}

void test(void)
{
	int fds;

	CHECK_IS(mp_adopt(NULL), -EINVAL);
	/* unused, and nobody's after all */
	fds = open_fds();
	ch = make_channel();
	mp_destroy(ch);
	CHECK_IS(open_fds(), fds);

	ch = make_channel();
	run(pass_on);
	CHECK_IS(mp_pending(ch), -EPERM);
	run(adopt);
	CHECK_IS(open_fds(), fds);
	check_used();
	check_child();
}
