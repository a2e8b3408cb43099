/* SPDX-License-Identifier: MIT */
/* A signal that is handled while a call waits ends it; nothing is lost. */
#include <signal.h>
#include <sys/time.h>

#include "channel.h"

static volatile sig_atomic_t signals;

static void count_signal(int signal)
{
	(void)signal;
	signals++;
}

static void interrupt_every(int us)
{
	const struct itimerval timer = {
		.it_interval.tv_usec = us,
		.it_value.tv_usec = us,
	};

	SYS(setitimer(ITIMER_REAL, &timer, NULL));
}

static void check_interrupted(int ch, int64_t timeout_ns, uint32_t min)
{
	struct megapipe_completion c;
	struct megapipe_run run = {
		.completions = ADDRESS(&c),
		.max = 1,
		.timeout_ns = timeout_ns,
		.min = min,
		.min_wait_ns = min ? UINT32_MAX : 0,
	};

	signals = 0;
	while (signals < 5)
		CHECK_IS(try_run(ch, &run), -EINTR);
	CHECK_IS(run.stored, 0);
}

/* Commands that came with the call were carried out, and aren't again. */
static void check_commands(int ch, uint32_t h, int peer)
{
	struct megapipe_command commands[2] = {
		COMMAND(WRITE, h, BYTES("once", 4)),
		COMMAND(COOKIE, h, .addr = 2),
	};
	struct megapipe_completion got[4];
	struct megapipe_run run = {
		.commands = ADDRESS(commands),
		.ncommands = 2,
		.completions = ADDRESS(got),
		.max = 4,
		.timeout_ns = PATIENCE_NS,
		.min = 4,
		.min_wait_ns = UINT32_MAX,
	};
	char text[5];
	int r = try_run(ch, &run);

	interrupt_every(0);
	/* there is a completion: that is no error, or told with it */
	CHECK(r == 0 || r == -EINTR);
	CHECK_IS(run.done, 2);
	CHECK_IS(run.stored, 1);
	CHECK_IS(got[0].result, 4);
	CHECK_IS(recv(peer, text, sizeof(text), 0), 4);
	CHECK(!readable(peer, 0));
}

void test(void)
{
	struct sigaction action = { .sa_handler = count_signal,
				    .sa_flags = SA_RESTART };
	int ch = new_channel(), pair[2];
	char text[8];
	uint32_t h;

	unix_pair(pair, SOCK_STREAM);
	h = add(ch, pair[0], 1);
	ASK(ch, READ, h, BYTES(text, 8));
	SYS(sigaction(SIGALRM, &action, NULL));
	interrupt_every(2000);
	check_interrupted(ch, -1, 0);
	check_interrupted(ch, PATIENCE_NS, 0);
	check_interrupted(ch, -1, 1);
	check_commands(ch, h, pair[1]);
	send_all(pair[1], "x", 1);
	COMPLETES(ch, 2, READ, 1);
	SYS(close(ch));
}
