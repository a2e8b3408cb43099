/* SPDX-License-Identifier: MIT */
/*
 * The cheapest client that can be written on libmegapipe: one thread, one
 * request of fixed bytes, answers of a known length that nobody looks at, no
 * latencies. The load engine's cost is measured against it
 * (test/loadgen/measure-cost.ts).
 *
 *   cheapest HOST PORT ENGINE CONNECTIONS REQUESTS_PER_CONNECTION SECONDS CPU
 * REQUEST ANSWER_BYTES
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../../libmegapipe/megapipe.h"

struct conn {
	struct mp_handle *handle;
	uint32_t left;
	size_t expected;
};

static struct mp_channel *ch;
static struct sockaddr_in address;
static const char *request;
static size_t request_len, answer_len;
static uint32_t per_connection;

static void check(int rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "cheapest: %s: %s\n", what, strerror(-rc));
	exit(1);
}

static void ask(struct conn *c)
{
	c->expected = answer_len;
	c->left--;
	check(mp_write(c->handle, request, request_len), "mp_write");
	check(mp_recv(c->handle), "mp_recv");
}

static void begin(struct conn *c)
{
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	check(fd < 0 ? -errno : fd, "socket");
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	check(mp_register(ch, fd, c, NULL, &c->handle), "mp_register");
	check(mp_connect(c->handle, (struct sockaddr *)&address,
			 sizeof(address)),
	      "mp_connect");
	c->left = per_connection ? per_connection : UINT32_MAX;
	ask(c);
}

/* 1: a request has been answered. */
static int received(struct conn *c, const struct mp_event *ev)
{
	check((int)ev->result, "receive");
	if (ev->result == 0 || (size_t)ev->result > c->expected)
		check(-EPROTO, "receive");
	c->expected -= (size_t)ev->result;
	mp_release(ch, ev);
	if (c->expected) {
		check(mp_recv(c->handle), "mp_recv");
		return 0;
	}
	if (c->left) {
		ask(c);
	} else {
		check(mp_close(c->handle), "mp_close");
		begin(c);
	}
	return 1;
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Answered requests within so many seconds; the clock is read now and then. */
static uint64_t run(double seconds)
{
	double end_s = now_s() + seconds;
	uint64_t answered = 0;
	struct mp_event ev;

	for (uint32_t n = 1; n % 1024 || now_s() < end_s; n++) {
		check(mp_dispatch(ch, &ev, -1), "mp_dispatch");
		if (ev.cmd == MP_RECV &&
		    ((struct conn *)ev.cookie)->handle == ev.handle)
			answered += (uint64_t)received(ev.cookie, &ev);
		else if (ev.cmd != MP_RECV && ev.cmd != MP_CLOSE)
			check((int)ev.result, "connect or write");
	}
	return answered;
}

static double cpu_s(void)
{
	struct rusage ru;

	getrusage(RUSAGE_THREAD, &ru);
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

static void open_channel(const char *engine)
{
	const struct mp_options options = { .size = sizeof(options),
					    .engine = engine,
					    .buffers = 512 };

	check(mp_create(&options, &ch), "mp_create");
}

static double crossings(void)
{
	struct mp_stats stats = { .size = sizeof(stats) };

	check(mp_stats(ch, &stats), "mp_stats");
	return (double)stats.crossings;
}

static void stay_on(int number)
{
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(number, &cpu);
	check(sched_setaffinity(0, sizeof(cpu), &cpu) ? -errno : 0, "affinity");
}

static void prepare(const char *host, const char *port, const char *text,
		    const char *answer_bytes)
{
	address =
		(struct sockaddr_in){ .sin_family = AF_INET,
				      .sin_port = htons((uint16_t)atoi(port)) };
	inet_pton(AF_INET, host, &address.sin_addr);
	request = text;
	request_len = strlen(text);
	answer_len = (size_t)atoi(answer_bytes);
}

int main(int argc, char **argv)
{
	if (argc != 10) {
		fputs("usage: see cheapest.c\n", stderr);
		return 2;
	}
	uint32_t n = (uint32_t)atoi(argv[4]);
	struct conn *conns = calloc(n, sizeof(*conns));

	stay_on(atoi(argv[7]));
	prepare(argv[1], argv[2], argv[8], argv[9]);
	per_connection = (uint32_t)atoi(argv[5]);
	open_channel(argv[3]);
	for (uint32_t i = 0; i < n; i++)
		begin(&conns[i]);
	run(0.5);
	double before_s = cpu_s(), crossed = crossings();
	uint64_t answered = run(atof(argv[6]));

	printf("{\"requests\":%llu,\"cpuSeconds\":%.6f,\"crossings\":%.0f}\n",
	       (unsigned long long)answered, cpu_s() - before_s,
	       crossings() - crossed);
	mp_destroy(ch);
	free(conns);
	return 0;
}
