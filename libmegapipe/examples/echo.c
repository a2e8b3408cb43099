// SPDX-License-Identifier: MIT
/*
 * The ping-pong server of the paper (Listing 1): what a client says comes back.
 * A thread a CPU, each with its own channel and its own accept queue.
 *
 *   cc -pthread echo.c $(pkg-config --cflags --libs megapipe) -o echo
 *   ./echo [PORT]
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <megapipe.h>

struct conn {
	struct mp_handle *handle;
	struct mp_event message; /* what is being sent back */
};

struct server {
	struct mp_channel *ch;
	int cpu;
};

static int listener;
static struct mp_options options = { .size = sizeof(options) };

static void check(int result, const char *what)
{
	if (result < 0)
		errx(1, "%s: %s", what, strerror(-result));
}

static void handle_event(struct mp_channel *ch, struct mp_event *ev)
{
	struct conn *conn = ev->cookie;

	if (ev->cmd == MP_ACCEPT) {
		check(ev->result, "accept");
		conn = calloc(1, sizeof(*conn));
		check(conn ? 0 : -ENOMEM, "connection");
		check(mp_register(ch, ev->result, conn, NULL, &conn->handle),
		      "register");
		mp_recv(conn->handle);
	} else if (ev->cmd == MP_RECV && ev->result > 0) {
		conn->message = *ev;
		mp_write(conn->handle, ev->recv.data, ev->result);
	} else if (ev->cmd == MP_WRITE && ev->result > 0) {
		mp_release(ch, &conn->message);
		mp_recv(conn->handle);
	} else if (ev->cmd == MP_CLOSE) {
		free(conn);
	} else {
		if (ev->cmd == MP_WRITE)
			mp_release(ch, &conn->message);
		mp_close(conn->handle);
	}
}

static void *serve(void *arg)
{
	struct server *server = arg;
	struct mp_channel *ch = server->ch;
	struct mp_handle *accepting;
	struct mp_event ev;
	cpu_set_t mask;
	int result;

	CPU_ZERO(&mask);
	CPU_SET(server->cpu, &mask);
	pthread_setaffinity_np(pthread_self(), sizeof(mask), &mask);
	check(mp_adopt(ch), "adopt");
	check(mp_register(ch, listener, NULL, &mask, &accepting), "register");
	mp_accept(accepting, MP_ACCEPT_ALL, true);
	while ((result = mp_dispatch(ch, &ev, -1)) >= 0 || result == -EINTR)
		if (result == 1)
			handle_event(ch, &ev);
	check(result, "dispatch");
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(argc > 1 ? atoi(argv[1]) : 7777),
	};
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	struct server servers[n];
	int on = 1;
	pthread_t thread;

	/* All threads on the same engine. */
	if (mp_choose(&options, n))
		errx(1, "no engine has %ld channels: %s", n, mp_why());

	listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, 4096))
		err(1, "listen");
	for (int i = 0; i < n; i++) {
		servers[i].cpu = i;
		if (mp_create(&options, &servers[i].ch))
			errx(1, "create: %s", mp_why());
	}
	for (int i = 0; i < n; i++)
		check(-pthread_create(&thread, NULL, serve, &servers[i]),
		      "thread");
	pause();
}
