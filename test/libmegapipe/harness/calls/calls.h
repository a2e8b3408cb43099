/* SPDX-License-Identifier: MIT */
/*
 * System calls that fail as a test likes. Who uses this is linked with --wrap,
 * so that its functions stand before the C library's: see the Makefile.
 *
 * io_uring's requests are doctored as they are submitted: a NOP that gives an
 * error of our choice takes the place of an accept, a read or a write.
 */
#ifndef CALLS_H
#define CALLS_H

#include <linux/io_uring.h>
#include <stdbool.h>

/* What the library's syscall() does: the test's own, with six arguments. */
long wrapped_syscall(long number, const long *args);
/* ... which ends here, if it doesn't fail. */
long real_syscall(long number, const long *args);

/* Of io_uring_enter: what it is about to submit and wasn't shown before. */
void each_request(const long *args, void (*show)(struct io_uring_sqe *sqe));
void fail_request(struct io_uring_sqe *sqe, int error);
/* Does it do so in this kernel? From Linux 6.10 on. */
bool can_fail_requests(void);

#endif
