/* SPDX-License-Identifier: MIT */
/* For tests of RLIMIT_MEMLOCK, which counts per user. */
#ifndef MEMLOCK_H
#define MEMLOCK_H

/*
 * Become a user whom nobody else is, with so many bytes; the test is skipped
 * where that can't be, or where the engine under test doesn't lock memory.
 */
void limit_memlock(unsigned long bytes);

#endif
