/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "check.h"
#include "processes.h"

pid_t start(void (*run)(void *), void *arg)
{
	pid_t parent = getpid(), child;

	fflush(stdout);
	child = SYS(fork());
	if (child > 0)
		return child;
	SYS(prctl(PR_SET_PDEATHSIG, SIGKILL));
	if (getppid() != parent)
		_exit(1);
	run(arg);
	fflush(stdout);
	_exit(0);
}

void passes(pid_t child)
{
	int status;

	SYS(waitpid(child, &status, 0));
	if (WIFSIGNALED(status))
		fail(__FILE__, __LINE__, "a child died: %s",
		     strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status) == EXIT_SKIPPED)
		_exit(EXIT_SKIPPED);
	CHECK_IS(WEXITSTATUS(status), 0);
}

void end(pid_t child)
{
	SYS(kill(child, SIGKILL));
	SYS(waitpid(child, NULL, 0));
}

void in_child(void (*run)(void *), void *arg)
{
	passes(start(run, arg));
}

void need_root(void)
{
	if (geteuid() != 0)
		skip("needs root");
}

void become(unsigned int user)
{
	SYS(setgroups(0, NULL));
	SYS(setresgid(user, user, user));
	SYS(setresuid(user, user, user));
}

struct bell new_bell(void)
{
	struct bell bell;

	SYS(pipe2(bell.fds, O_CLOEXEC));
	return bell;
}

void ring(struct bell bell)
{
	SYS(write(bell.fds[1], "!", 1));
}

static void check_no_child_failed(void)
{
	siginfo_t child = { .si_pid = 0 };

	if (waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    child.si_pid && child.si_status)
		passes(child.si_pid);
}

void await(struct bell bell)
{
	char byte;

	while (!readable(bell.fds[0], 100))
		check_no_child_failed();
	receive_all(bell.fds[0], &byte, 1);
}
