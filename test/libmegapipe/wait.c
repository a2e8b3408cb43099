/* SPDX-License-Identifier: MIT */
/* mp_wait() waits as mp_dispatch() does, and takes nothing. */
#include <signal.h>
#include <sys/time.h>

#include "check.h"

static void nothing(int signal)
{
	(void)signal;
}

static void check_interrupted(struct mp_channel *ch)
{
	struct itimerval soon = { .it_interval.tv_usec = QUIET_US,
				  .it_value.tv_usec = QUIET_US };
	struct sigaction action = { .sa_handler = nothing };

	SYS(sigaction(SIGALRM, &action, NULL));
	SYS(setitimer(ITIMER_REAL, &soon, NULL));
	CHECK_IS(mp_wait(ch, -1), -EINTR);
	SYS(setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL));
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h;
	char byte;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_wait(NULL, 0), -EINVAL);
	CHECK_IS(mp_wait(ch, -2), -EINVAL);
	CHECK_IS(mp_wait(ch, 0), 0);
	CHECK_IS(mp_wait(ch, QUIET_US), 0);
	for (int i = 0; i < 3; i++) {
		CHECK_IS(mp_read(h, &byte, 1), 0);
		CHECK_IS(mp_wait(ch, i * 100), 0);
		send_all(pair[1], "x", 1);
		CHECK_IS(mp_wait(ch, PATIENCE_US), 1);
		CHECK_IS(mp_wait(ch, -1), 1);
		CHECK_IS(mp_pending(ch), 1);
		EXPECT(ch, h, MP_READ, 1);
		CHECK_IS(mp_pending(ch), 0);
		CHECK_IS(mp_wait(ch, 0), 0);
	}
	check_interrupted(ch);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
