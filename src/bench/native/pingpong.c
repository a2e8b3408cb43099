// SPDX-License-Identifier: MIT
/*
 * A closed-loop client of few instructions, the same for whatever server: on
 * each of its connections it asks, waits for as many bytes as an answer has,
 * and asks again; after so many transactions it begins another connection.
 *
 *   pingpong [OPTION...] ADDRESS PORT
 *
 *   -c N      connections at a time (256)
 *   -n N      transactions a connection; 0: no limit (0)
 *   -w N      transactions before those that are measured (0)
 *   -m N      transactions to measure (0)
 *   -s BYTES  of a request, and of its answer, which is to be the same (64)
 *   -f FILE   a script instead: requests that all connections take in turn.
 *             Each is a line "BYTES ANSWER_BYTES" and so many bytes.
 *   -r        end connections by FIN, not by RST
 *
 * It executes marks (mark.h) around what is measured, if anything is, and
 * prints what it did.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "mark.h"

#define EVENTS 512

struct request {
	const char *bytes;
	size_t size;
	size_t answer_size;
};

struct conn {
	int fd;		/* -1: not begun yet */
	uint64_t limit; /* transactions of the next connection */
	uint64_t left;
	size_t expected;
};

static struct sockaddr_in address = { .sin_family = AF_INET };
static struct request *script;
static size_t script_length, next_request;
static uint64_t per_connection;
static bool is_reset = true;
static int epoll;
static struct conn **idle;
static size_t nr_conns, nr_idle;
static uint64_t begun, to_ask;
static char buffer[1 << 16];

/* --------------------------------------------------------- connections */

static void ask(struct conn *conn)
{
	const struct request *request = &script[next_request];

	if (++next_request == script_length)
		next_request = 0;
	conn->expected = request->answer_size;
	if (send(conn->fd, request->bytes, request->size, MSG_NOSIGNAL) !=
	    (ssize_t)request->size)
		err(1, "send");
}

/* Over loopback a connect is done when it returns. */
static void begin(struct conn *conn)
{
	static const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = conn };

	conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (conn->fd < 0)
		err(1, "socket");
	if (is_reset)
		setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &reset,
			   sizeof(reset));
	if (connect(conn->fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "connect");
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, conn->fd, &ev))
		err(1, "epoll_ctl");
	conn->left = conn->limit;
	conn->limit = per_connection;
	begun++;
}

static void go_on(struct conn *conn)
{
	if (!to_ask) {
		idle[nr_idle++] = conn;
		return;
	}
	to_ask--;
	if (conn->fd >= 0 && per_connection && !conn->left) {
		close(conn->fd);
		conn->fd = -1;
	}
	if (conn->fd < 0)
		begin(conn);
	conn->left--;
	ask(conn);
}

static void receive(struct conn *conn)
{
	ssize_t size = recv(conn->fd, buffer, sizeof(buffer), 0);

	if (size <= 0)
		err(1, size ? "receive" : "the server ended a connection");
	if ((size_t)size > conn->expected)
		errx(1, "%zu bytes more than an answer has: %.*s",
		     (size_t)size - conn->expected, (int)size, buffer);
	conn->expected -= (size_t)size;
	if (!conn->expected)
		go_on(conn);
}

/*
 * So many transactions, from when no connection waits for an answer to when
 * none does again: whoever answers has done as many by then.
 */
static void run(uint64_t count)
{
	static struct epoll_event events[EVENTS];

	to_ask = count;
	while (to_ask && nr_idle)
		go_on(idle[--nr_idle]);
	while (nr_idle < nr_conns) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++)
			receive(events[i].data.ptr);
	}
}

/* --------------------------------------------------------------- script */

static void add_request(const char *bytes, size_t size, size_t answer_size)
{
	script = realloc(script, (script_length + 1) * sizeof(*script));
	if (!script)
		err(1, "script");
	script[script_length++] = (struct request){ bytes, size, answer_size };
}

static void read_script(const char *name)
{
	FILE *file = fopen(name, "r");
	size_t size, answer_size;

	if (!file)
		err(1, "%s", name);
	while (fscanf(file, "%zu %zu", &size, &answer_size) == 2) {
		char *bytes = malloc(size + 1);

		if (!bytes || fgetc(file) != '\n' ||
		    fread(bytes, 1, size, file) != size)
			errx(1, "%s is not a script", name);
		add_request(bytes, size, answer_size);
	}
	if (!feof(file) || !script_length)
		errx(1, "%s is not a script", name);
	fclose(file);
}

static void make_script(size_t size)
{
	char *bytes = malloc(size);

	if (!bytes)
		err(1, "script");
	memset(bytes, 'x', size);
	add_request(bytes, size, size);
}

/* ----------------------------------------------------------------- main */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void measure(uint64_t count)
{
	uint64_t begun_before = begun, before_ns = now_ns(), ns;

	mark_begin();
	run(count);
	mark_end();
	ns = now_ns() - before_ns;
	printf("{\"transactions\":%" PRIu64 ",\"connections\":%" PRIu64
	       ",\"ns\":%" PRIu64 "}\n",
	       count, begun - begun_before, ns);
}

/*
 * The first connections get from 1 transaction to all, so that from then on
 * some end at any time, and not all at once.
 */
static void prepare(size_t count)
{
	struct conn *conns = calloc(count, sizeof(*conns));

	idle = calloc(count, sizeof(*idle));
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!conns || !idle || epoll < 0)
		err(1, "connections");
	for (size_t i = 0; i < count; i++) {
		conns[i].fd = -1;
		conns[i].limit = per_connection ? i % per_connection + 1 : 0;
		idle[i] = &conns[i];
	}
	nr_conns = nr_idle = count;
}

int main(int argc, char **argv)
{
	uint64_t connections = 256, warmup = 0, count = 0;
	size_t size = 64;
	int option;

	while ((option = getopt(argc, argv, "c:n:w:m:s:f:r")) != -1) {
		if (option == 'c')
			connections = strtoull(optarg, NULL, 10);
		else if (option == 'n')
			per_connection = strtoull(optarg, NULL, 10);
		else if (option == 'w')
			warmup = strtoull(optarg, NULL, 10);
		else if (option == 'm')
			count = strtoull(optarg, NULL, 10);
		else if (option == 's')
			size = strtoull(optarg, NULL, 10);
		else if (option == 'f')
			read_script(optarg);
		else if (option == 'r')
			is_reset = false;
		else
			return 2;
	}
	if (argc - optind != 2 ||
	    inet_pton(AF_INET, argv[optind], &address.sin_addr) != 1)
		errx(2, "usage: pingpong [OPTION...] ADDRESS PORT");
	address.sin_port = htons((uint16_t)atoi(argv[optind + 1]));
	if (!script)
		make_script(size);
	prepare(connections);
	run(warmup);
	if (count)
		measure(count);
	return 0;
}
