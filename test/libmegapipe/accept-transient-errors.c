/* SPDX-License-Identifier: MIT */
/*
 * An accept that fails for a while doesn't end accepting: an idle server must
 * not stay deaf. The errors are made: on engine uring those of the requests
 * that accept, elsewhere those of accept4().
 */
#include <sys/syscall.h>

#include "calls/calls.h"
#include "check.h"

/* Engine uring waits with several requests at a time. */
#define FAILURES 3
#define FAILURES_URING 40

static int failures, error;

static void fail_accept(struct io_uring_sqe *sqe)
{
	if (sqe->opcode != IORING_OP_ACCEPT || failures <= 0)
		return;
	failures--;
	fail_request(sqe, error);
}

long wrapped_syscall(long number, const long *args)
{
	if (number == SYS_accept4 && failures > 0) {
		failures--;
		errno = error;
		return -1;
	}
	if (number == SYS_io_uring_enter)
		each_request(args, fail_accept);
	return real_syscall(number, args);
}

/* How many events tell of it until the connection comes. */
static int told_until_accepted(struct mp_channel *ch, struct mp_handle *h,
			       bool is_lwsocket)
{
	for (int told = 0;; told++) {
		struct mp_event ev = NEXT(ch);

		CHECK(ev.handle == h && ev.cmd == MP_ACCEPT);
		if (ev.result >= 0) {
			CHECK_IS(ev.result >= MP_LWSOCKET_BASE, is_lwsocket);
			CHECK_IS(mp_unregister(make_handle(ch, ev.result)), 0);
			if (!is_lwsocket)
				SYS(close(ev.result));
			return told;
		}
		CHECK_IS(ev.result, -error);
	}
}

/* Told at once, and again after a second that it goes on for; or not at all. */
static void check_error(int which, bool is_told, bool is_lwsocket)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET), client, told;
	struct mp_handle *h = make_handle(ch, listener);

	error = which;
	failures = strcmp(engine, "uring") ? FAILURES : FAILURES_URING;
	client = connect_to(listener);
	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, is_lwsocket), 0);
	told = told_until_accepted(ch, h, is_lwsocket);
	CHECK(is_told ? told >= 1 && told <= FAILURES : told == 0);
	CHECK_IS(failures, 0);
	SYS(close(client));
	client = connect_to(listener);
	CHECK_IS(told_until_accepted(ch, h, is_lwsocket), 0);
	SYS(close(client));
	mp_destroy(ch);
	SYS(close(listener));
}

/* On engine kernel the module accepts them. */
static bool can_fail_lwsockets(void)
{
	return strcmp(engine, "kernel");
}

void test(void)
{
	const int shortages[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM };
	/* the connection's own end */
	const int passing[] = { ECONNABORTED, EPROTO };

	if (!strcmp(engine, "uring") && !can_fail_requests())
		skip("no request can be made to fail before Linux 6.10");
	for (int is_lw = 0; is_lw <= can_fail_lwsockets(); is_lw++) {
		for (size_t i = 0; i < sizeof(shortages) / sizeof(int); i++)
			check_error(shortages[i], true, is_lw);
		for (size_t i = 0; i < sizeof(passing) / sizeof(int); i++)
			check_error(passing[i], false, is_lw);
	}
}
