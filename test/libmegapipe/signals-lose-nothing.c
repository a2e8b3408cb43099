/* SPDX-License-Identifier: MIT */
/*
 * Under a storm of signals every byte comes, in order, and no error shows but
 * -EINTR.
 */
#include <signal.h>
#include <sys/time.h>

#include "check.h"

#define ROUNDS 3000

static void handle(int signal)
{
	(void)signal;
}

static struct mp_event next_in_storm(struct mp_channel *ch)
{
	struct mp_event ev;
	int r;

	do
		r = mp_dispatch(ch, &ev, -1);
	while (r == -EINTR);
	CHECK_IS(r, 1);
	return ev;
}

static void storm(bool on)
{
	const struct itimerval every = { { 0, on * 100 }, { 0, on * 100 } };
	const struct sigaction action = { .sa_handler = handle };

	SYS(sigaction(SIGVTALRM, &action, NULL));
	SYS(sigaction(SIGPROF, &action, NULL));
	SYS(sigaction(SIGALRM, &action, NULL));
	SYS(setitimer(ITIMER_REAL, &every, NULL));
}

static void exchange(struct mp_channel *ch, struct mp_handle *a,
		     struct mp_handle *b, uint64_t place)
{
	char out[300];

	fill(out, sizeof(out), place);
	CHECK_IS(mp_write(a, out, sizeof(out)), 0);
	for (size_t got = 0, written = 0; got + written < 2 * sizeof(out);) {
		struct mp_event ev;

		if (got < sizeof(out) && written == 0)
			CHECK_IS(mp_recv(b), 0);
		do {
			ev = next_in_storm(ch);
			CHECK(ev.result > 0);
			written += ev.cmd == MP_WRITE ? ev.result : 0;
		} while (ev.cmd != MP_RECV);
		check_filled(ev.recv.data, ev.result, place + got);
		CHECK_IS(mp_release(ch, &ev), 0);
		got += ev.result;
		if (got == sizeof(out) && written == 0)
			written += next_in_storm(ch).result;
	}
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *handles[2];
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	for (int i = 0; i < 2; i++)
		handles[i] = make_handle(ch, pair[i]);
	storm(true);
	for (int i = 0; i < ROUNDS; i++)
		exchange(ch, handles[i % 2], handles[!(i % 2)], i * 300);
	storm(false);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
