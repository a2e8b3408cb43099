// SPDX-License-Identifier: MIT
/*
 * The ping-pong server of the paper (Listing 1): what a client says comes back.
 *
 *   echo [-e ENGINE] [-b BATCH] [-t THREADS] [-a ADDRESS] [-p PORT] [-L] [-P]
 *        [-m BYTES]
 *
 * -t threads, on a CPU each; -m buffers for messages of so many bytes; -L
 * connections are ordinary sockets; -P one accept queue for all threads. It
 * says so when it listens. At SIGUSR1 it says what its channels have done so
 * far; at SIGTERM or SIGINT too, and ends.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <megapipe.h>

#define BACKLOG 4096
#define MAX_THREADS 1024
#define BUFFERS_MIN 16
#define BUFFERS_BYTES (1 << 20) /* more would fall out of the CPU's cache */

/* What is written to a thread's eventfd; several words add up. */
#define TELL 1
#define END (1 << 20)

struct thread {
	pthread_t id;
	int cpu;
	int words; /* an eventfd */
};

struct conn {
	struct mp_handle *handle;
	struct mp_event received; /* what is being sent back */
	struct conn *next_spare;
};

static struct mp_options options = { .batch = MP_BATCH_DEFAULT };
static bool is_lwsocket = true;
static bool is_partitioned = true;
static const char *engine; /* the channels' */
static int listener;
static pthread_barrier_t begun;

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

static void tell(const struct mp_channel *ch, int cpu)
{
	struct mp_stats stats;

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
	const struct thread *thread = ev->cookie;
	eventfd_t words = END;

	eventfd_read(thread->words, &words);
	tell(ch, thread->cpu);
	check(mp_poll(ev->handle, POLLIN), "poll");
	return words >= END;
}

static void serve(struct mp_channel *ch)
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

/* --------------------------------------------------- threads, begin, end */

static void *run(void *data)
{
	struct thread *thread = data;
	struct mp_handle *handle;
	struct mp_channel *ch;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(thread->cpu, &cpu);
	check(mp_create(&options, &ch), "make a channel");
	engine = mp_engine_name(ch);
	check(mp_register(ch, thread->words, thread, NULL, &handle),
	      "register an eventfd");
	check(mp_poll(handle, POLLIN), "poll");
	check(mp_register(ch, listener, NULL, is_partitioned ? &cpu : NULL,
			  &handle),
	      "register the listening socket");
	check(mp_accept(handle, MP_ACCEPT_ALL, is_lwsocket), "accept");
	check(mp_flush(ch), "flush");
	pthread_barrier_wait(&begun);
	serve(ch);
	mp_destroy(ch);
	return NULL;
}

static void start(struct thread *thread)
{
	pthread_attr_t attr;
	cpu_set_t mask;

	thread->words = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CPU_ZERO(&mask);
	CPU_SET(thread->cpu, &mask);
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(mask), &mask);
	check(-pthread_create(&thread->id, &attr, run, thread), "thread");
	pthread_attr_destroy(&attr);
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

static void listen_on(const char *address, const char *port)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
	};
	int on = 1;

	if (inet_pton(AF_INET, address, &sin.sin_addr) != 1)
		errx(2, "%s is not an IPv4 address", address);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&sin, sizeof(sin)) ||
	    listen(listener, BACKLOG))
		err(1, "listen on %s:%s", address, port);
}

/* What the main thread hears, the others are told. */
static void hear(const sigset_t *signals, const struct thread *threads,
		 int count)
{
	int signal;

	do {
		sigwait(signals, &signal);
		for (int i = 0; i < count; i++)
			eventfd_write(threads[i].words,
				      signal == SIGUSR1 ? TELL : END);
	} while (signal == SIGUSR1);
}

static void run_threads(int count)
{
	static struct thread threads[MAX_THREADS];
	sigset_t signals;
	int cpu = -1;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	pthread_barrier_init(&begun, NULL, (unsigned int)count + 1);
	for (int i = 0; i < count; i++) {
		threads[i].cpu = cpu = next_cpu(cpu);
		start(&threads[i]);
	}
	pthread_barrier_wait(&begun);
	printf("listening: engine %s, batch %u, lwsocket %s, partition %s\n",
	       engine, options.batch, is_lwsocket ? "on" : "off",
	       is_partitioned ? "on" : "off");
	fflush(stdout);
	hear(&signals, threads, count);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i].id, NULL);
}

static void expect(unsigned int message_bytes)
{
	options.buffer_size = message_bytes;
	options.buffers = MP_BUFFERS_DEFAULT;
	while (options.buffers > BUFFERS_MIN &&
	       (size_t)options.buffers * message_bytes > BUFFERS_BYTES)
		options.buffers /= 2;
}

int main(int argc, char **argv)
{
	const char *address = "127.0.0.1", *port = "7777";
	int threads = 1, option;

	while ((option = getopt(argc, argv, "e:b:t:a:p:LPm:")) != -1) {
		if (option == 'e')
			options.engine = optarg;
		else if (option == 'b')
			options.batch = (unsigned int)atoi(optarg);
		else if (option == 't')
			threads = atoi(optarg);
		else if (option == 'a')
			address = optarg;
		else if (option == 'p')
			port = optarg;
		else if (option == 'L')
			is_lwsocket = false;
		else if (option == 'm')
			expect((unsigned int)atoi(optarg));
		else if (option == 'P')
			is_partitioned = false;
		else
			return 2;
	}
	if (threads < 1 || threads > MAX_THREADS)
		errx(2, "-t takes 1 to %d threads", MAX_THREADS);
	listen_on(address, port);
	run_threads(threads);
	return 0;
}
