/* SPDX-License-Identifier: MIT */
/*
 * What the rivals of libmegapipe's example "echo" have in common: a thread a
 * CPU, and the queues that they accept from.
 *
 *   PROGRAM [-t THREADS] [-a ADDRESS] [-p PORT] [-r | -s] [-w MICROSECONDS]
 *           [-m BYTES]
 *
 * They say so when they listen, and as what: "listening: epoll, queue shared".
 */
#ifndef RIVAL_H
#define RIVAL_H

#include <stdbool.h>

struct rival {
	bool is_shared;	   /* the queue is all threads' */
	int sleep_us;	   /* -w: before events are asked for; 0: not */
	int message_bytes; /* -m: what is expected; 0: small ones */
};

/* Serves for ever what it accepts from a socket, which is non-blocking. */
typedef void serve(const struct rival *rival, int listener);

/*
 * Without an option all threads have one queue; -r: each has its own, chosen
 * by a hash of the connection (SO_REUSEPORT); -s: by the CPU that handles its
 * packets. What they serve with is told by its name.
 */
int rival_main(int argc, char **argv, const char *means, serve *serve);

#endif
