/* SPDX-License-Identifier: MIT */
/*
 * An accept that fails for a while doesn't end accepting: an idle server must
 * not stay deaf. The errors are made by a syscall() of this program.
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "check.h"

#define FAILURES 3

static int failures, error;

/* The library's: it accepts by syscall(). */
long syscall(long number, ...)
{
	static long (*real)(long number, ...);
	long a[6];
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_accept4 && failures > 0) {
		failures--;
		errno = error;
		return -1;
	}
	if (!real)
		real = (long (*)(long number, ...))dlsym(RTLD_NEXT, "syscall");
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* How many events tell of it until the connection comes. */
static int told_until_accepted(struct mp_channel *ch, struct mp_handle *h)
{
	for (int told = 0;; told++) {
		struct mp_event ev = NEXT(ch);

		CHECK(ev.handle == h && ev.cmd == MP_ACCEPT);
		if (ev.result >= 0) {
			SYS(close(ev.result));
			return told;
		}
		CHECK_IS(ev.result, -error);
	}
}

static void check_error(int which, int min, int max)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET), client, told;
	struct mp_handle *h = make_handle(ch, listener);

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	EXPECT_NONE(ch);
	error = which;
	failures = FAILURES;
	client = connect_to(listener);
	told = told_until_accepted(ch, h);
	CHECK(told >= min && told <= max);
	CHECK_IS(failures, 0);
	SYS(close(client));
	mp_destroy(ch);
	SYS(close(listener));
}

void test(void)
{
	/* told at once, and again after a second that it goes on for */
	const int shortages[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM };
	/* the connection's own end */
	const int passing[] = { ECONNABORTED, EPROTO };

	if (strcmp(engine, "epoll"))
		skip("the kernel accepts for this engine");
	for (size_t i = 0; i < sizeof(shortages) / sizeof(*shortages); i++)
		check_error(shortages[i], 1, FAILURES);
	for (size_t i = 0; i < sizeof(passing) / sizeof(*passing); i++)
		check_error(passing[i], 0, 0);
}
