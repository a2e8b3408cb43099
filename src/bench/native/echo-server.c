// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <linux/filter.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "echo-server.h"

#define BACKLOG 4096
#define MAX_THREADS 1024

enum queues echo_queues;
int echo_message_bytes;

static struct sockaddr_in address = { .sin_family = AF_INET };
static const struct echo_server *server;
static struct worker workers[MAX_THREADS];
static pthread_barrier_t ready;

void echo_ready(void)
{
	pthread_barrier_wait(&ready);
}

static void *run(void *data)
{
	server->serve(data);
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
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (echo_queues != QUEUE_SHARED)
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
		workers[i].listener = i && echo_queues == QUEUE_SHARED ?
					      workers[0].listener :
					      listen_now();
	}
	if (echo_queues == QUEUES_STEERED)
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

const char *echo_queues_name(void)
{
	static const char *const names[] = { "queue shared", "queues hashed",
					     "queues steered" };

	return names[echo_queues];
}

static void run_workers(int count)
{
	pthread_barrier_init(&ready, NULL, (unsigned int)count + 1);
	open_queues(count);
	if (server->begin)
		server->begin(workers, count);
	for (int i = 0; i < count; i++)
		start(&workers[i]);
	pthread_barrier_wait(&ready);
	fputs("listening: ", stdout);
	server->tell();
	fflush(stdout);
	if (server->hear)
		server->hear(workers, count);
	for (int i = 0; i < count; i++)
		pthread_join(workers[i].thread, NULL);
}

static void set_host(const char *host)
{
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		errx(2, "%s is not an IPv4 address", host);
}

/* False: the server's own. */
static bool set_common(int option, const char *value)
{
	if (option == 'a')
		set_host(value);
	else if (option == 'p')
		address.sin_port = htons((uint16_t)atoi(value));
	else if (option == 'm')
		echo_message_bytes = atoi(value);
	else if (option == 'r')
		echo_queues = QUEUES_HASHED;
	else if (option == 's')
		echo_queues = QUEUES_STEERED;
	else
		return false;
	return true;
}

int echo_main(int argc, char **argv, const struct echo_server *which)
{
	int threads = 1, option;

	server = which;
	set_host("127.0.0.1");
	address.sin_port = htons(7777);
	while ((option = getopt(argc, argv, server->options)) != -1) {
		if (option == '?')
			return 2;
		if (option == 't')
			threads = atoi(optarg);
		else if (!set_common(option, optarg))
			server->set(option, optarg);
	}
	if (threads < 1 || threads > MAX_THREADS)
		errx(2, "-t takes 1 to %d threads", MAX_THREADS);
	run_workers(threads);
	return 0;
}
