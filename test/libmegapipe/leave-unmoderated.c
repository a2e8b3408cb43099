/* SPDX-License-Identifier: MIT */
/*
 * Who leaves waits for the end of what is in flight, and not for more besides:
 * a wait for several completions would last as long as moderation_us.
 */
#include <sys/syscall.h>

#include "calls/calls.h"
#include "check.h"

#define PAIRS 20
#define MOST_ROUNDS 1000

static int pairs[PAIRS][2];
static struct mp_handle *handles[PAIRS];
static long most_waited_for;

long wrapped_syscall(long number, const long *args)
{
	if (number == SYS_io_uring_enter && args[2] > most_waited_for)
		most_waited_for = args[2];
	return real_syscall(number, args);
}

/* Nothing is asked of those whose receive was the last. */
static void speak(struct mp_channel *ch, bool receives_again)
{
	for (int i = 0; i < PAIRS; i++)
		send_all(pairs[i][1], "x", 1);
	for (int i = 0; i < PAIRS; i++) {
		struct mp_event ev = NEXT(ch);

		CHECK(ev.cmd == MP_RECV && ev.result == 1);
		CHECK_IS(mp_release(ch, &ev), 0);
		if (receives_again)
			CHECK_IS(mp_recv(ev.handle), 0);
	}
}

/* The channel has learnt to wait for several. */
static void check_leaving(bool takes_fd)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .moderation_us = 1000 });
	int rounds = 0;

	for (int i = 0; i < PAIRS; i++) {
		unix_pair(pairs[i], SOCK_STREAM);
		handles[i] = make_handle(ch, pairs[i][0]);
		CHECK_IS(mp_recv(handles[i]), 0);
	}
	for (most_waited_for = 0; most_waited_for < 5; rounds++) {
		CHECK(rounds < MOST_ROUNDS);
		speak(ch, true);
	}
	if (takes_fd)
		speak(ch, false);
	most_waited_for = 0;
	for (int i = 0; i < PAIRS; i++)
		CHECK_IS(takes_fd ? mp_lwsocket_to_fd(handles[i]) :
				    mp_unregister(handles[i]),
			 takes_fd ? pairs[i][0] : 0);
	CHECK(most_waited_for <= 1);
	mp_destroy(ch);
	for (int i = 0; i < PAIRS; i++) {
		SYS(close(pairs[i][0]));
		SYS(close(pairs[i][1]));
	}
}

void test(void)
{
	if (strcmp(engine, "uring"))
		skip("another engine waits by other calls, or isn't moderated");
	check_leaving(false);
	check_leaving(true);
}
