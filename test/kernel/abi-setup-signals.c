/* SPDX-License-Identifier: MIT */
/* A channel is made whatever signals come meanwhile: open() isn't called again.
 */
#include <signal.h>
#include <sys/time.h>

#include "channel.h"

#define CHANNELS 2000

static volatile sig_atomic_t signals;

static void count(int signal)
{
	(void)signal;
	signals++;
}

void test(void)
{
	const struct itimerval often = { { 0, 500 }, { 0, 500 } };
	const struct itimerval never = { { 0, 0 }, { 0, 0 } };
	const struct sigaction action = { .sa_handler = count,
					  .sa_flags = SA_RESTART };

	SYS(sigaction(SIGALRM, &action, NULL));
	SYS(setitimer(ITIMER_REAL, &often, NULL));
	for (int i = 0; i < CHANNELS; i++)
		SYS(close(new_channel()));
	SYS(setitimer(ITIMER_REAL, &never, NULL));
	printf("%d signals\n", (int)signals);
}
