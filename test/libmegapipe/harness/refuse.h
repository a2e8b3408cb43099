/* SPDX-License-Identifier: MIT */
#ifndef REFUSE_H
#define REFUSE_H

/*
 * From now on the system call fails with that error, by a seccomp filter. The
 * test is skipped where there are none.
 */
void refuse(unsigned int number, unsigned int error);

#endif
