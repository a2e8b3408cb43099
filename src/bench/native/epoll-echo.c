// SPDX-License-Identifier: MIT
/*
 * The rival over epoll, level triggered, as one would write it with care today.
 * Options: echo-server.h. With -w MICROSECONDS it sleeps before it asks for
 * events, unless the last time there were many: what libmegapipe's waiting for
 * a batch brings, without libmegapipe.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "echo-server.h"

#define EVENTS 512
#define MANY 32
#define BUFFER_SIZE 65536
#define MAX_FDS (1 << 20)

/* What a connection could not take yet; most never have any. */
struct rest {
	size_t size;
	size_t done;
	char bytes[];
};

static struct rest *rests[MAX_FDS]; /* by descriptor, so no two threads' */
static int sleep_us;

static void watch(int epoll, int fd, int how, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	if (epoll_ctl(epoll, how, fd, &ev))
		err(1, "epoll_ctl");
}

static void end(int fd)
{
	free(rests[fd]);
	rests[fd] = NULL;
	close(fd);
}

/* All that wait: one event may stand for many. */
static void accept_all(int epoll, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if (fd >= MAX_FDS)
			errx(1, "too many connections");
		watch(epoll, fd, EPOLL_CTL_ADD, EPOLLIN);
	}
	if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		err(1, "accept4");
}

/* The client is to take this before it may say more. */
static void keep(int epoll, int fd, const char *bytes, size_t size)
{
	struct rest *rest = malloc(sizeof(*rest) + size);

	if (!rest)
		err(1, "malloc");
	rest->size = size;
	rest->done = 0;
	memcpy(rest->bytes, bytes, size);
	rests[fd] = rest;
	watch(epoll, fd, EPOLL_CTL_MOD, EPOLLOUT);
}

static bool is_later(ssize_t result)
{
	return result < 0 && (errno == EAGAIN || errno == EINTR);
}

static void answer(int epoll, int fd)
{
	static _Thread_local char buffer[BUFFER_SIZE];
	ssize_t size = read(fd, buffer, sizeof(buffer));

	if (size <= 0) {
		if (!is_later(size))
			end(fd);
		return;
	}
	ssize_t done = write(fd, buffer, (size_t)size);

	if (done == size)
		return;
	if (done < 0 && !is_later(done))
		end(fd);
	else
		keep(epoll, fd, buffer + (done < 0 ? 0 : done),
		     (size_t)(size - (done < 0 ? 0 : done)));
}

static void go_on(int epoll, int fd)
{
	struct rest *rest = rests[fd];
	ssize_t done =
		write(fd, rest->bytes + rest->done, rest->size - rest->done);

	if (done < 0) {
		if (!is_later(done))
			end(fd);
		return;
	}
	rest->done += (size_t)done;
	if (rest->done < rest->size)
		return;
	free(rest);
	rests[fd] = NULL;
	watch(epoll, fd, EPOLL_CTL_MOD, EPOLLIN);
}

static void serve_epoll(struct worker *worker)
{
	const struct timespec pause = { .tv_nsec = sleep_us * 1000L };
	bool is_shared = echo_queues == QUEUE_SHARED;
	int epoll = epoll_create1(EPOLL_CLOEXEC), n = MANY;
	int listener = worker->listener;
	struct epoll_event events[EVENTS];

	/* Else the kernel adds 50 us of its own. */
	prctl(PR_SET_TIMERSLACK, 1UL);
	fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK);
	watch(epoll, listener, EPOLL_CTL_ADD,
	      is_shared ? EPOLLIN | EPOLLEXCLUSIVE : EPOLLIN);
	echo_ready();
	for (;;) {
		if (sleep_us && n < MANY)
			nanosleep(&pause, NULL);
		n = epoll_wait(epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == listener)
				accept_all(epoll, listener);
			else if (rests[fd])
				go_on(epoll, fd);
			else
				answer(epoll, fd);
		}
	}
}

static void set(int option, const char *value)
{
	(void)option; /* -w */
	sleep_us = atoi(value);
}

static void tell(void)
{
	printf("epoll, %s", echo_queues_name());
	if (sleep_us)
		printf(", sleep %d us", sleep_us);
	putchar('\n');
}

int main(int argc, char **argv)
{
	static const struct echo_server server = {
		.options = "t:a:p:m:rsw:",
		.set = set,
		.serve = serve_epoll,
		.tell = tell,
	};

	/* A client that resets is no reason to end. */
	signal(SIGPIPE, SIG_IGN);
	return echo_main(argc, argv, &server);
}
