// SPDX-License-Identifier: MIT
/*
 * The echo server over libmegapipe, as its example "echo", with what measuring
 * needs besides.
 *
 *   megapipe-echo [-e ENGINE] [-b BATCH] [-w MICROSECONDS] [-L] [-P]
 *                 [options of echo-server.h]
 *
 * -w: wake-up moderation; -L: connections are ordinary sockets; -P: one accept
 * queue for all threads.
 * At SIGUSR1 it says what its channels have done so far; at SIGTERM or SIGINT
 * too, and ends.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include <megapipe.h>

#include "echo-server.h"

#define BUFFERS_MIN 16
#define BUFFERS_BYTES (1 << 20) /* more would fall out of the CPU's cache */

/* What is written to a thread's eventfd; several words add up. */
#define TELL 1
#define END (1 << 20)

struct conn {
	struct mp_handle *handle;
	struct mp_event received; /* what is being sent back */
	struct conn *next_spare;
};

static struct mp_options options = {
	.size = sizeof(options),
	.batch = MP_BATCH_DEFAULT,
};
static bool is_lwsocket = true;
static bool is_partitioned = true;
static const char *engine; /* the channels' */
static sigset_t signals;

static void check(int result, const char *what)
{
	if (result < 0)
		errx(1, "%s: %s", what, strerror(-result));
}

/* --------------------------------------------------- connections' memory */

static _Thread_local struct conn *spare;

static struct conn *conn_new(void)
{
	struct conn *conn = spare;

	if (conn)
		spare = conn->next_spare;
	else
		conn = malloc(sizeof(*conn));
	check(conn ? 0 : -ENOMEM, "connection");
	return conn;
}

static void conn_free(struct conn *conn)
{
	conn->next_spare = spare;
	spare = conn;
}

/* ------------------------------------------------------- the event loop */

static void accepted(struct mp_channel *ch, const struct mp_event *ev)
{
	struct conn *conn = conn_new();

	check((int)ev->result, "accept");
	check(mp_register(ch, (int)ev->result, conn, NULL, &conn->handle),
	      "register a connection");
	check(mp_recv(conn->handle), "receive");
}

static void received(struct conn *conn, const struct mp_event *ev)
{
	if (ev->result > 0) {
		conn->received = *ev;
		check(mp_write(conn->handle, ev->recv.data, (size_t)ev->result),
		      "write");
	} else {
		check(mp_close(conn->handle), "close");
	}
}

static void written(struct mp_channel *ch, struct conn *conn,
		    const struct mp_event *ev)
{
	mp_release(ch, &conn->received);
	if (ev->result >= 0)
		check(mp_recv(conn->handle), "receive");
	else
		check(mp_close(conn->handle), "close");
}

static void tell_stats(const struct mp_channel *ch, int cpu)
{
	struct mp_stats stats = { .size = sizeof(stats) };

	mp_stats(ch, &stats);
	printf("{\"cpu\":%d,\"engine\":\"%s\",\"accepted\":%" PRIu64
	       ",\"requests\":%" PRIu64 ",\"completions\":%" PRIu64
	       ",\"crossings\":%" PRIu64 ",\"largestFlush\":%" PRIu64
	       ",\"largestFetch\":%" PRIu64 "}\n",
	       cpu, mp_engine_name(ch), stats.accepted, stats.requests,
	       stats.completions, stats.crossings, stats.largest_flush,
	       stats.largest_fetch);
	fflush(stdout);
}

/* True: it is time to end. */
static bool asked(struct mp_channel *ch, const struct mp_event *ev)
{
	const struct worker *worker = ev->cookie;
	eventfd_t words = END;

	eventfd_read(worker->words, &words);
	tell_stats(ch, worker->cpu);
	check(mp_poll(ev->handle, POLLIN), "poll");
	return words >= END;
}

static void loop(struct mp_channel *ch)
{
	struct mp_event ev;
	int result;

	while ((result = mp_dispatch(ch, &ev, -1)) >= 0 || result == -EINTR) {
		if (result != 1)
			continue;
		if (ev.cmd == MP_ACCEPT)
			accepted(ch, &ev);
		else if (ev.cmd == MP_RECV)
			received(ev.cookie, &ev);
		else if (ev.cmd == MP_WRITE)
			written(ch, ev.cookie, &ev);
		else if (ev.cmd == MP_CLOSE)
			conn_free(ev.cookie);
		else if (ev.cmd == MP_POLL && asked(ch, &ev))
			return;
	}
	check(result, "dispatch");
}

static void serve(struct worker *worker)
{
	struct mp_handle *handle;
	struct mp_channel *ch;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(worker->cpu, &cpu);
	check(mp_create(&options, &ch), "make a channel");
	engine = mp_engine_name(ch);
	check(mp_register(ch, worker->words, worker, NULL, &handle),
	      "register an eventfd");
	check(mp_poll(handle, POLLIN), "poll");
	check(mp_register(ch, worker->listener, NULL,
			  is_partitioned ? &cpu : NULL, &handle),
	      "register the listening socket");
	check(mp_accept(handle, MP_ACCEPT_ALL, is_lwsocket), "accept");
	check(mp_flush(ch), "flush");
	echo_ready();
	loop(ch);
	mp_destroy(ch);
}

/* --------------------------------------------------- begin, words, end */

static void size_buffers(void)
{
	if (!echo_message_bytes)
		return;
	options.buffer_size = (unsigned int)echo_message_bytes;
	options.buffers = MP_BUFFERS_DEFAULT;
	while (options.buffers > BUFFERS_MIN &&
	       (size_t)options.buffers * options.buffer_size > BUFFERS_BYTES)
		options.buffers /= 2;
}

static void begin(struct worker *workers, int count)
{
	size_buffers();
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	for (int i = 0; i < count; i++) {
		workers[i].words = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		check(workers[i].words < 0 ? -errno : 0, "eventfd");
	}
}

/* What the main thread hears, the others are told. */
static void hear(struct worker *workers, int count)
{
	int signal;

	do {
		sigwait(&signals, &signal);
		for (int i = 0; i < count; i++)
			eventfd_write(workers[i].words,
				      signal == SIGUSR1 ? TELL : END);
	} while (signal == SIGUSR1);
}

static void tell(void)
{
	printf("engine %s, batch %u, lwsocket %s, partition %s, moderation %u us\n",
	       engine, options.batch, is_lwsocket ? "on" : "off",
	       is_partitioned ? "on" : "off", options.moderation_us);
}

static void set(int option, const char *value)
{
	if (option == 'e')
		options.engine = value;
	else if (option == 'b')
		options.batch = (unsigned int)atoi(value);
	else if (option == 'w')
		options.moderation_us = (unsigned int)atoi(value);
	else if (option == 'L')
		is_lwsocket = false;
	else if (option == 'P')
		is_partitioned = false;
}

int main(int argc, char **argv)
{
	static const struct echo_server server = {
		.options = "t:a:p:m:e:b:w:LP",
		.set = set,
		.serve = serve,
		.tell = tell,
		.begin = begin,
		.hear = hear,
	};

	return echo_main(argc, argv, &server);
}
