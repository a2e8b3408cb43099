/* SPDX-License-Identifier: MIT */
/*
 * What the echo servers have in common, that over libmegapipe and its rivals: a
 * thread a CPU, and the sockets that they accept from.
 *
 *   PROGRAM [-t THREADS] [-a ADDRESS] [-p PORT] [-m BYTES] [options of its own]
 *
 * -m says how large messages will be. They say so when they listen, and as
 * what: "listening: epoll, queue shared".
 */
#ifndef ECHO_SERVER_H
#define ECHO_SERVER_H

#include <pthread.h>

/*
 * Without an option all threads have one queue; -r: each has its own, chosen
 * by a hash of the connection (SO_REUSEPORT); -s: by the CPU that handles its
 * packets.
 */
enum queues { QUEUE_SHARED, QUEUES_HASHED, QUEUES_STEERED };

struct worker {
	pthread_t thread;
	int cpu;
	int listener;
	int words; /* an eventfd, for a server's begin() and hear() */
};

struct echo_server {
	/* All that it takes, for getopt(); its own go to set(). */
	const char *options;
	void (*set)(int option, const char *value);
	/* Serves what comes, after a call of echo_ready(). */
	void (*serve)(struct worker *worker);
	/* Says on a line of standard output what it is. */
	void (*tell)(void);
	/* Before there are threads, and when all are ready; or NULL. */
	void (*begin)(struct worker *workers, int count);
	void (*hear)(struct worker *workers, int count);
};

extern enum queues echo_queues;
extern int echo_message_bytes; /* -m; 0: small messages */

/* "queue shared", "queues hashed", "queues steered" */
const char *echo_queues_name(void);
void echo_ready(void);
int echo_main(int argc, char **argv, const struct echo_server *server);

#endif
