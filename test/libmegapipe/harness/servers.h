/* SPDX-License-Identifier: MIT */
/* Partitioned servers, each a thread with a channel, and clients on any CPU. */
#ifndef SERVERS_H
#define SERVERS_H

#include <pthread.h>
#include <semaphore.h>

#include "check.h"

#define MOST_CPUS 4

/* Serves a listener with a mask, from a thread on the CPUs of the mask. */
struct server {
	int listener;
	cpu_set_t mask;
	bool is_lwsocket;

	pthread_t thread;
	sem_t ready;
	int stop_fd; /* an eventfd */
	int accepted;
	int misplaced; /* ... of them came in on a CPU outside the mask */
};

/*
 * Gives the number of CPUs, and skips where there is one alone or the kernel
 * can't steer connections.
 */
int need_cpus(int cpus[MOST_CPUS]);

/*
 * One port, a listening socket a CPU: each tied to its CPU, as a master would
 * make them for its workers.
 */
void listen_group(int *listeners, const int *cpus, int count);

/* On return the server accepts. */
void start_server(struct server *s);
/* On return it has closed its handle and channel; its counts are final. */
void stop_server(struct server *s);

/*
 * From a thread on this CPU connect count times, each time say something and
 * wait for the answer of a server.
 */
void clients_from(int cpu, int listener, int count);

#endif
