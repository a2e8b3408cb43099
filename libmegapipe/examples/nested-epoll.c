// SPDX-License-Identifier: MIT
/*
 * Somebody else's event loop within a channel's: a library that waits at an
 * epoll instance of its own is run when that is readable, which mp_poll()
 * tells. Here it has a timer and the signals that end the program, and the
 * channel accepts connections, which are counted.
 *
 *   cc nested-epoll.c $(pkg-config --cflags --libs megapipe) -o nested-epoll
 *   ./nested-epoll [PORT]
 */
#define _GNU_SOURCE
#include <err.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <megapipe.h>

static unsigned int connections;
static time_t now;

static void check(int result, const char *what)
{
	if (result < 0)
		errx(1, "%s: %s", what, strerror(-result));
}

/* -------------------------------------------------- the other event loop */

struct library {
	int epoll, timer, signals;
};

static void library_add(struct library *l, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	if (fd < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev))
		err(1, "epoll");
}

static void library_begin(struct library *l)
{
	struct itimerspec often = { .it_interval.tv_nsec = 200000000,
				    .it_value.tv_nsec = 200000000 };
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	l->signals = signalfd(-1, &ends, SFD_CLOEXEC);
	library_add(l, l->timer);
	library_add(l, l->signals);
	timerfd_settime(l->timer, 0, &often, NULL);
}

/* Handles what there is. False: a signal tells to end. */
static bool library_run(struct library *l)
{
	struct epoll_event events[8];
	int n = epoll_wait(l->epoll, events, 8, 0);
	uint64_t ticks;

	for (int i = 0; i < n; i++) {
		if (events[i].data.fd == l->signals)
			return false;
		if (read(l->timer, &ticks, sizeof(ticks)) < 0)
			err(1, "timer");
		printf("%lld: %u connections\n", (long long)now, connections);
		fflush(stdout);
	}
	return true;
}

/* ------------------------------------------------------------ the channel */

static void accepted(struct mp_channel *ch, const struct mp_event *ev)
{
	struct mp_handle *conn;

	check(ev->result, "accept");
	check(mp_register(ch, ev->result, NULL, NULL, &conn), "register");
	check(mp_close(conn), "close");
	connections++;
}

/* False: it is to end. */
static bool handle_event(struct mp_channel *ch, const struct mp_event *ev)
{
	struct library *l = ev->cookie;

	if (ev->cmd == MP_ACCEPT)
		accepted(ch, ev);
	if (ev->cmd != MP_POLL)
		return true;
	/* first this, then ask again: what is left over is told at once */
	if (!library_run(l))
		return false;
	check(mp_poll(ev->handle, POLLIN), "poll");
	return true;
}

static int listen_at(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(fd, 4096))
		err(1, "listen");
	return fd;
}

int main(int argc, char **argv)
{
	int listener = listen_at(argc > 1 ? atoi(argv[1]) : 7777);
	struct mp_handle *accepting, *nested;
	struct mp_channel *ch;
	struct mp_event ev;
	struct library l;
	bool goes_on = true;

	library_begin(&l);
	check(mp_create(NULL, &ch), "create");
	check(mp_register(ch, listener, NULL, NULL, &accepting), "register");
	check(mp_accept(accepting, MP_ACCEPT_ALL, true), "accept");
	check(mp_register(ch, l.epoll, &l, NULL, &nested), "register");
	check(mp_poll(nested, POLLIN), "poll");
	/* The clock is read once for all that a wait has brought. */
	while (goes_on && mp_wait(ch, -1) >= 0) {
		now = time(NULL);
		while (goes_on && mp_pending(ch) == 1 &&
		       mp_dispatch(ch, &ev, 0) == 1)
			goes_on = handle_event(ch, &ev);
	}
	mp_destroy(ch);
	return 0;
}
