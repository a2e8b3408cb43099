// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <linux/filter.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rival.h"

#define BACKLOG 4096
#define MAX_THREADS 1024

enum queues { QUEUE_SHARED, QUEUES_HASHED, QUEUES_STEERED };

struct worker {
	pthread_t thread;
	int cpu;
	int listener;
};

static struct sockaddr_in address = { .sin_family = AF_INET };
static enum queues queues;
static struct rival rival;
static serve *serve_connections;
static struct worker workers[MAX_THREADS];
static pthread_barrier_t begun;

static void *run(void *data)
{
	const struct worker *worker = data;

	pthread_barrier_wait(&begun);
	serve_connections(&rival, worker->listener);
	return NULL;
}

/* ------------------------------------------------------------ the queues */

/*
 * A program that the kernel asks, for each connection, which socket of the
 * group it is for: that of the CPU on which the question is asked. On a CPU
 * without a thread it says what no socket's number is, and the hash decides.
 */
static void steer(int listener, int count)
{
	struct sock_filter program[2 * MAX_THREADS + 2];
	int n = 0;
	struct sock_fprog whole = { .filter = program };

	program[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, (__u32)(SKF_AD_OFF + SKF_AD_CPU));
	for (int i = 0; i < count; i++) {
		program[n++] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, (__u32)workers[i].cpu, 0, 1);
		program[n++] =
			(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, (__u32)i);
	}
	program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, ~0U);
	whole.len = (unsigned short)n;
	if (setsockopt(listener, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &whole,
		       sizeof(whole)))
		err(1, "SO_ATTACH_REUSEPORT_CBPF");
}

static int listen_now(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (queues != QUEUE_SHARED)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(fd, BACKLOG))
		err(1, "listen");
	return fd;
}

/* The next of the CPUs that we may use, round and round. */
static int next_cpu(int cpu)
{
	cpu_set_t ours;

	sched_getaffinity(0, sizeof(ours), &ours);
	do {
		cpu = (cpu + 1) % CPU_SETSIZE;
	} while (!CPU_ISSET(cpu, &ours));
	return cpu;
}

/* The sockets of a group are numbered in the order in which they listen. */
static void open_queues(int count)
{
	for (int i = 0; i < count; i++) {
		workers[i].cpu = next_cpu(i ? workers[i - 1].cpu : -1);
		workers[i].listener = i && queues == QUEUE_SHARED ?
					      workers[0].listener :
					      listen_now();
	}
	if (queues == QUEUES_STEERED)
		steer(workers[0].listener, count);
}

/* ----------------------------------------------------------- the threads */

static void start(struct worker *worker)
{
	pthread_attr_t attr;
	cpu_set_t mask;

	CPU_ZERO(&mask);
	CPU_SET(worker->cpu, &mask);
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(mask), &mask);
	if (pthread_create(&worker->thread, &attr, run, worker))
		errx(1, "no thread");
	pthread_attr_destroy(&attr);
}

static void tell(const char *means)
{
	static const char *const names[] = { "queue shared", "queues hashed",
					     "queues steered" };

	printf("listening: %s, %s", means, names[queues]);
	if (rival.sleep_us)
		printf(", sleep %d us", rival.sleep_us);
	putchar('\n');
	fflush(stdout);
}

static void run_workers(int count, const char *means)
{
	pthread_barrier_init(&begun, NULL, (unsigned int)count + 1);
	open_queues(count);
	for (int i = 0; i < count; i++)
		start(&workers[i]);
	pthread_barrier_wait(&begun);
	tell(means);
	pthread_join(workers[0].thread, NULL);
}

int rival_main(int argc, char **argv, const char *means, serve *serve)
{
	int threads = 1, option, port = 7777;
	const char *host = "127.0.0.1";

	while ((option = getopt(argc, argv, "t:a:p:rsw:m:")) != -1) {
		if (option == 't')
			threads = atoi(optarg);
		else if (option == 'a')
			host = optarg;
		else if (option == 'p')
			port = atoi(optarg);
		else if (option == 'r')
			queues = QUEUES_HASHED;
		else if (option == 's')
			queues = QUEUES_STEERED;
		else if (option == 'w')
			rival.sleep_us = atoi(optarg);
		else if (option == 'm')
			rival.message_bytes = atoi(optarg);
		else
			return 2;
	}
	if (threads < 1 || threads > MAX_THREADS)
		errx(2, "-t takes 1 to %d threads", MAX_THREADS);
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		errx(2, "%s is not an IPv4 address", host);
	address.sin_port = htons((uint16_t)port);
	rival.is_shared = queues == QUEUE_SHARED;
	serve_connections = serve;
	/* A client that resets is no reason to end. */
	signal(SIGPIPE, SIG_IGN);
	run_workers(threads, means);
	return 0;
}
