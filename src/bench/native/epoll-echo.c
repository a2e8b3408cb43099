// SPDX-License-Identifier: MIT
/*
 * The rival of libmegapipe's example "echo": the same over epoll, level
 * triggered, as one would write it with care today. A thread a CPU, each with
 * its own epoll set.
 *
 *   epoll-echo [-t THREADS] [-a ADDRESS] [-p PORT] [-r]
 *
 * -r: an accept queue a thread (SO_REUSEPORT), instead of one for all. It says
 * "listening" when it does.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096
#define MAX_THREADS 1024
#define EVENTS 512
#define BUFFER_SIZE 4096

struct worker {
	pthread_t thread;
	int cpu;
	int listener;
};

static struct sockaddr_in address = { .sin_family = AF_INET };
static bool is_reuseport;
static pthread_barrier_t begun;

static void watch(int epoll, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev))
		err(1, "epoll_ctl");
}

/* All that wait: one event may stand for many. */
static void accept_all(int epoll, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		watch(epoll, fd, EPOLLIN);
	if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		err(1, "accept4");
}

/* What was sent to us has little room to be refused in: a client waits for it.
 */
static void answer(int fd)
{
	char buffer[BUFFER_SIZE];
	ssize_t size = read(fd, buffer, sizeof(buffer));

	if (size > 0 && write(fd, buffer, (size_t)size) == size)
		return;
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	close(fd);
}

static void *serve(void *data)
{
	const struct worker *worker = data;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[EVENTS];

	watch(epoll, worker->listener,
	      is_reuseport ? EPOLLIN : EPOLLIN | EPOLLEXCLUSIVE);
	pthread_barrier_wait(&begun);
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == worker->listener)
				accept_all(epoll, worker->listener);
			else
				answer(events[i].data.fd);
		}
	}
	return NULL;
}

static int listen_now(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (is_reuseport)
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

static void start(struct worker *worker)
{
	pthread_attr_t attr;
	cpu_set_t mask;

	CPU_ZERO(&mask);
	CPU_SET(worker->cpu, &mask);
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(mask), &mask);
	if (pthread_create(&worker->thread, &attr, serve, worker))
		errx(1, "no thread");
	pthread_attr_destroy(&attr);
}

static void run_workers(int count)
{
	static struct worker workers[MAX_THREADS];

	pthread_barrier_init(&begun, NULL, (unsigned int)count + 1);
	for (int i = 0; i < count; i++) {
		workers[i].cpu = next_cpu(i ? workers[i - 1].cpu : -1);
		workers[i].listener = i && !is_reuseport ? workers[0].listener :
							   listen_now();
		start(&workers[i]);
	}
	pthread_barrier_wait(&begun);
	puts("listening");
	fflush(stdout);
	pthread_join(workers[0].thread, NULL);
}

int main(int argc, char **argv)
{
	int threads = 1, option, port = 7777;

	inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
	while ((option = getopt(argc, argv, "t:a:p:r")) != -1) {
		if (option == 't')
			threads = atoi(optarg);
		else if (option == 'a')
			inet_pton(AF_INET, optarg, &address.sin_addr);
		else if (option == 'p')
			port = atoi(optarg);
		else if (option == 'r')
			is_reuseport = true;
		else
			return 2;
	}
	if (threads < 1 || threads > MAX_THREADS)
		errx(2, "-t takes 1 to %d threads", MAX_THREADS);
	address.sin_port = htons((uint16_t)port);
	run_workers(threads);
	return 0;
}
