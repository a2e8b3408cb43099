/* SPDX-License-Identifier: MIT */
/* Processes that end, on both sides of a channel. */
#ifndef PROCESSES_H
#define PROCESSES_H

#include <sys/types.h>

/* A child that does this and ends; with this process at the latest. */
pid_t start(void (*run)(void *), void *arg);
/* A child ends by itself, and nothing failed in it; skips if it does. */
void passes(pid_t child);
/* SIGKILL, and wait. */
void end(pid_t child);
/* A child does this, and nothing fails in it. */
void in_child(void (*run)(void *), void *arg);

#define NOBODY 65534

void need_root(void);
/* Give up root's rights for good. */
void become(unsigned int user);

/* For telling another process something, once. */
struct bell {
	int fds[2];
};

struct bell new_bell(void);
void ring(struct bell bell);
/* Until it is rung. */
void await(struct bell bell);

#endif
