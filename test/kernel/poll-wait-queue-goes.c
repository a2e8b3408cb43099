/* SPDX-License-Identifier: MIT */
/*
 * A signalfd is polled on a wait queue of the process that polls. That queue
 * goes with the process, while file and channel may stay: another process
 * shares its memory and descriptors.
 */
#include <sched.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "channel.h"
#include "machine.h"

static int ch, signal_fd;
static char stack[1 << 18] __attribute__((aligned(16)));

static int make_and_end(void *arg)
{
	static struct signalfd_siginfo info;
	uint32_t h;

	(void)arg;
	ch = new_channel();
	h = add(ch, signal_fd, 1);
	ASK(ch, READ, h, BYTES(&info, sizeof(info)));
	ASK(ch, POLL, h, .arg = POLLIN);
	STAYS_QUIET(ch);
	return 0;
}

void test(void)
{
	struct megapipe_run run = { 0 };
	sigset_t set;
	int status;
	pid_t child;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	for (int i = 0; i < 10; i++) {
		signal_fd = SYS(signalfd(-1, &set, SFD_CLOEXEC));
		child = SYS(clone(make_and_end, stack + sizeof(stack),
				  CLONE_VM | CLONE_FILES | SIGCHLD, NULL));
		SYS(waitpid(child, &status, 0));
		CHECK_IS(status, 0);
		/* wakes whoever is on our queue */
		SYS(kill(getpid(), SIGUSR1));
		CHECK_IS(try_run(ch, &run), -EPERM);
		SYS(close(ch));
		SYS(close(signal_fd));
	}
	await_module_users(0);
}
