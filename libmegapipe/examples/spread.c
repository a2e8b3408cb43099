// SPDX-License-Identifier: MIT
/*
 * A server that tells each client the number of the thread that serves it. Of
 * its threads, one a CPU, so many accept as the operator says: each line on
 * standard input is a number. The CPUs are dealt out among these, and no client
 * is lost on the way.
 *
 *   cc -pthread spread.c $(pkg-config --cflags --libs megapipe) -o spread
 *   ./spread [PORT]
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <megapipe.h>

struct worker {
	int number;
	int orders[2]; /* a pipe of masks */
	cpu_set_t mask;
	char answer[16];
};

static int listener;
static int done[2]; /* a pipe: a byte for each order that was carried out */

static void check(int result, const char *what)
{
	if (result < 0)
		errx(1, "%s: %s", what, strerror(-result));
}

/* ------------------------------------------------------------- workers */

static void answer(struct mp_channel *ch, int client, const struct worker *w)
{
	struct mp_handle *handle;

	check(client, "accept");
	check(mp_register(ch, client, NULL, NULL, &handle), "register");
	check(mp_write(handle, w->answer, strlen(w->answer)), "write");
	check(mp_close(handle), "close");
}

static void carry_out(struct worker *w, struct mp_handle *accepting)
{
	check(mp_set_cpu_mask(accepting, &w->mask), "CPUs");
	if (write(done[1], "", 1) < 0)
		err(1, "pipe");
}

static void *work(void *arg)
{
	struct mp_handle *accepting, *orders;
	struct worker *w = arg;
	struct mp_channel *ch;
	struct mp_event ev;
	int result;

	if (mp_create(NULL, &ch))
		errx(1, "create: %s", mp_why());
	check(mp_register(ch, listener, NULL, &w->mask, &accepting), "listen");
	check(mp_accept(accepting, MP_ACCEPT_ALL, true), "accept");
	check(mp_register(ch, w->orders[0], NULL, NULL, &orders), "register");
	check(mp_read(orders, &w->mask, sizeof(w->mask)), "read");
	while ((result = mp_dispatch(ch, &ev, -1)) >= 0 || result == -EINTR) {
		if (result == 1 && ev.cmd == MP_ACCEPT) {
			answer(ch, ev.result, w);
		} else if (result == 1 && ev.handle == orders) {
			carry_out(w, accepting);
			check(mp_read(orders, &w->mask, sizeof(w->mask)),
			      "read");
		}
	}
	check(result, "dispatch");
	return NULL;
}

static void start(struct worker *w, int number)
{
	pthread_t thread;

	w->number = number;
	snprintf(w->answer, sizeof(w->answer), "%d\n", number);
	CPU_SET(number, &w->mask);
	if (pipe(w->orders))
		err(1, "pipe");
	check(-pthread_create(&thread, NULL, work, w), "thread");
}

/* -------------------------------------------------------------- orders */

static void order(struct worker *w, const cpu_set_t *mask)
{
	char byte;

	if (write(w->orders[1], mask, sizeof(*mask)) < 0 ||
	    read(done[0], &byte, 1) < 0)
		err(1, "pipe");
}

/* A CPU must be given up before another one can have it. */
static void spread(struct worker *workers, long n, long accepting)
{
	cpu_set_t masks[n];

	memset(masks, 0, sizeof(masks));
	for (long i = 0; i < n; i++)
		order(&workers[i], &masks[i]);
	for (long cpu = 0; cpu < n; cpu++)
		CPU_SET(cpu, &masks[cpu % accepting]);
	for (long i = 0; i < accepting; i++)
		order(&workers[i], &masks[i]);
	printf("%ld of %ld\n", accepting, n);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(argc > 1 ? atoi(argv[1]) : 7777),
	};
	long n = sysconf(_SC_NPROCESSORS_CONF), accepting;
	struct worker *workers = calloc(n, sizeof(*workers));
	int on = 1;

	listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (!workers || pipe(done) ||
	    bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, 4096))
		err(1, "listen");
	for (int i = 0; i < n; i++)
		start(&workers[i], i);
	while (scanf("%ld", &accepting) == 1)
		if (accepting >= 1 && accepting <= n)
			spread(workers, n, accepting);
	return 0;
}
