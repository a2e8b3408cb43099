/* SPDX-License-Identifier: MIT */
/*
 * Closing within a time gives up on whatever writes wait for: a pipe that
 * nobody empties, a connect that nobody accepts.
 */
#include <sys/un.h>

#include "check.h"

#define SIZE (1 << 20)

static struct mp_channel *ch;
static const int64_t bounds[] = { 0, 1000 };

static ssize_t result_of(int64_t us)
{
	return us ? -ETIMEDOUT : 0;
}

static void check_pipe(int64_t us)
{
	char *bytes = calloc(1, SIZE);
	struct mp_handle *h;
	int ends[2];

	SYS(pipe(ends));
	h = make_handle(ch, ends[1]);
	CHECK_IS(mp_write(h, bytes, SIZE), 0);
	CHECK_IS(mp_write(h, bytes, SIZE), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_close_within(h, us), 0);
	EXPECT(ch, h, MP_WRITE, -ECANCELED);
	EXPECT(ch, h, MP_WRITE, -ECANCELED);
	EXPECT(ch, h, MP_CLOSE, result_of(us));
	CHECK(!is_open(ends[1]));
	SYS(close(ends[0]));
	free(bytes);
}

/* A UNIX socket whose backlog is full. */
static void check_connect(int64_t us)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int listener = SYS(socket(AF_UNIX, SOCK_STREAM, 0)), first, second;
	struct mp_handle *h;

	snprintf(name.sun_path, sizeof(name.sun_path), "%s/%lld",
		 scratch_directory(), (long long)us);
	SYS(bind(listener, (struct sockaddr *)&name, sizeof(name)));
	SYS(listen(listener, 0));
	first = SYS(socket(AF_UNIX, SOCK_STREAM, 0));
	SYS(connect(first, (struct sockaddr *)&name, sizeof(name)));
	second = SYS(socket(AF_UNIX, SOCK_STREAM, 0));
	h = make_handle(ch, second);
	CHECK_IS(mp_connect(h, (struct sockaddr *)&name, sizeof(name)), 0);
	CHECK_IS(mp_write(h, "never", 5), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_close_within(h, us), 0);
	EXPECT(ch, h, MP_CONNECT, -ECANCELED);
	EXPECT(ch, h, MP_WRITE, -ECANCELED);
	EXPECT(ch, h, MP_CLOSE, result_of(us));
	CHECK(!is_open(second));
	SYS(close(first));
	SYS(close(listener));
}

/* Nothing to give up: disconnected before, idle, or a listener. */
static void check_nothing(int64_t us)
{
	struct mp_handle *h;
	int pair[2];

	tcp_pair(pair);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_recv(h), 0);
	CHECK_IS(mp_disconnect(h, SHUT_WR), 0);
	EXPECT(ch, h, MP_DISCONNECT, 0);
	CHECK_IS(mp_close_within(h, us), 0);
	EXPECT(ch, h, MP_RECV, -ECANCELED);
	EXPECT(ch, h, MP_CLOSE, 0);
	receive_end(pair[1]);
	SYS(close(pair[1]));
	h = make_handle(ch, listen_tcp(AF_INET));
	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	CHECK_IS(mp_close_within(h, us), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
}

void test(void)
{
	ch = make_channel();
	for (int i = 0; i < 2; i++) {
		check_pipe(bounds[i]);
		check_connect(bounds[i]);
		check_nothing(bounds[i]);
	}
	EXPECT_NONE(ch);
	CHECK_IS(stats_of(ch).handles, 0);
	mp_destroy(ch);
}
