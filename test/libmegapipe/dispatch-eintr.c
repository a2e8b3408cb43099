/* SPDX-License-Identifier: MIT */
/*
 * A signal handler that runs during a wait ends it with -EINTR, and loses
 * nothing.
 */
#include <signal.h>
#include <sys/time.h>

#include "check.h"

static volatile sig_atomic_t handled;

static void handle(int signal)
{
	(void)signal;
	handled = handled + 1;
}

static void ring_every_ms(int ms)
{
	const struct itimerval every = { { 0, ms * 1000 }, { 0, ms * 1000 } };

	SYS(setitimer(ITIMER_REAL, &every, NULL));
}

static void check_interrupted(struct mp_channel *ch, int flags)
{
	struct sigaction action = { .sa_handler = handle, .sa_flags = flags };
	struct mp_event ev;

	SYS(sigaction(SIGALRM, &action, NULL));
	handled = 0;
	ring_every_ms(10);
	CHECK_IS(mp_dispatch(ch, &ev, -1), -EINTR);
	CHECK(handled > 0);
	CHECK_IS(mp_dispatch(ch, &ev, PATIENCE_US), -EINTR);
	ring_every_ms(0);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h;
	char text[8];
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	check_interrupted(ch, 0);
	check_interrupted(ch, SA_RESTART);
	send_all(pair[1], "still", 5);
	EXPECT(ch, h, MP_READ, 5);
	CHECK_BYTES(text, "still", 5);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
