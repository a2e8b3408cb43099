/* SPDX-License-Identifier: MIT */
/* A signalfd: a signal to the process is read as a completion. */
#include <signal.h>
#include <sys/signalfd.h>

#include "check.h"

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct signalfd_siginfo got;
	struct mp_handle *h;
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	fd = SYS(signalfd(-1, &set, SFD_CLOEXEC));
	h = make_handle(ch, fd);
	CHECK_IS(mp_read(h, &got, sizeof(got)), 0);
	EXPECT_NONE(ch);
	SYS(kill(getpid(), SIGUSR1));
	EXPECT(ch, h, MP_READ, sizeof(got));
	CHECK_IS(got.ssi_signo, SIGUSR1);
	mp_destroy(ch);
	SYS(close(fd));
}
