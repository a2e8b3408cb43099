/* SPDX-License-Identifier: MIT */
/*
 * The load engine's taking of HTTP answers, without a network: the bytes on
 * stdin are fed whole, cut in two at every place, and in pieces of every small
 * size, and each way must come to the same. Prints what it came to.
 *
 *   http-parse METHODS END STATUS LENGTH CRC32
 *
 * METHODS: what was asked for, a letter a request: G or H (HEAD); END: 1: the
 * peer closes after the bytes; the others: what the answers must be, or -1.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../loadgen/native/worker.h"

#define REQUESTS 64
#define BYTES_MAX (1 << 20)
#define CUTS_MAX 2000 /* cut longer ones in few ways */

static struct load_run *run;
static struct load_answer answers[2]; /* to G and to H */
static uint32_t sequence[REQUESTS];
static const uint8_t heads[] = "GET / HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\n\r\n";
static const uint32_t offsets[] = { 0, 18, 37 };
static struct request requests[REQUESTS];
static struct conn conn;

struct outcome {
	int rc;
	bool ended; /* the end of the connection was in order */
	uint32_t in_flight;
	struct load_counters counters;
	char complaint[sizeof(run->complaint)];
};

static void prepare(const char *methods)
{
	struct worker *w = &run->workers[0];

	memset(w, 0, sizeof(*w));
	memset(run->complaint, 0, sizeof(run->complaint));
	memset(&conn, 0, sizeof(conn));
	w->run = run;
	w->plan = &run->plan;
	w->protocol = &http;
	w->now = &w->counters[LOAD_WARMUP];
	w->sequence = sequence;
	w->pipeline_mask = REQUESTS - 1;
	conn.worker = w;
	conn.requests = requests;
	conn.in_flight = (uint32_t)strlen(methods);
	for (uint32_t i = 0; i < conn.in_flight; i++) {
		sequence[i] = methods[i] == 'H';
		requests[i] = (struct request){ .position = i, .items = 1 };
	}
	http.reset(&conn);
}

/* Each piece in memory of its own, so that a sanitizer sees its bounds. */
static int feed(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len);

	memcpy(copy, data, len);
	int rc = http.parse(conn.worker, &conn, copy, len);

	free(copy);
	return rc;
}

/* Pieces: the first of so many bytes, the others of size. */
static struct outcome take(const char *methods, const uint8_t *data, size_t len,
			   size_t first, size_t size, bool end)
{
	struct outcome outcome;

	memset(&outcome, 0, sizeof(outcome));
	prepare(methods);
	for (size_t at = 0, n = first; at < len && !outcome.rc;
	     at += n, n = size)
		outcome.rc = feed(data + at, len - at < n ? len - at : n);
	if (!outcome.rc && end)
		outcome.ended = http.end(conn.worker, &conn);
	outcome.in_flight = conn.in_flight;
	outcome.counters = *conn.worker->now;
	memcpy(outcome.complaint, run->complaint, sizeof(outcome.complaint));
	return outcome;
}

static void print(const struct outcome *o)
{
	const struct load_counters *c = &o->counters;

	printf("{\"rc\":\"%s\",\"ended\":%s,\"unanswered\":%u,\"answered\":%llu,"
	       "\"bodyBytes\":%llu,\"verified\":%llu,\"verification\":%llu,"
	       "\"server\":%llu,\"complaint\":\"%s\",\"statuses\":[",
	       o->rc == 0	   ? "" :
	       o->rc == -EPROTO	   ? "EPROTO" :
	       o->rc == -ESHUTDOWN ? "ESHUTDOWN" :
				     "other",
	       o->ended ? "true" : "false", o->in_flight,
	       (unsigned long long)c->answered[0],
	       (unsigned long long)c->body_bytes,
	       (unsigned long long)c->verified,
	       (unsigned long long)c->errors[LOAD_VERIFICATION],
	       (unsigned long long)c->errors[LOAD_SERVER], o->complaint);
	const char *comma = "";

	for (uint32_t i = 0; i < LOAD_STATUSES; i++)
		for (uint64_t n = 0; n < c->statuses[i]; n++, comma = ",")
			printf("%s%u", comma, i + LOAD_STATUS_FIRST);
	printf("]}\n");
}

/* All ways must come to what one came to. */
static void compare(const struct outcome *all, const char *methods,
		    const uint8_t *data, size_t len, size_t first, size_t size,
		    bool end)
{
	struct outcome cut = take(methods, data, len, first, size, end);

	if (!memcmp(&cut, all, sizeof(cut)))
		return;
	fprintf(stderr, "cut after %zu, then every %zu, it comes to\n", first,
		size);
	print(&cut);
	exit(1);
}

int main(int argc, char **argv)
{
	static uint8_t data[BYTES_MAX];
	size_t len = fread(data, 1, sizeof(data), stdin);

	if (argc != 6)
		return 2;
	run = calloc(1, sizeof(*run) + sizeof(struct worker));
	pthread_mutex_init(&run->lock, NULL);
	bool end = atoi(argv[2]), crc = atoll(argv[5]) >= 0;

	for (uint32_t i = 0; i < 2; i++)
		answers[i] = (struct load_answer){
			.status = (uint16_t)(atoi(argv[3]) > 0 ? atoi(argv[3]) :
								 0),
			.check = crc && !i ? LOAD_CHECK_CRC32 : LOAD_CHECK_NOT,
			.flags = i ? LOAD_IS_HEAD : 0,
			.length = (uint32_t)atoll(argv[4]),
			.content = (uint32_t)atoll(argv[5]),
		};
	run->plan = (struct load_plan){ .sequence_len = REQUESTS,
					.keys = heads,
					.key_offsets = offsets,
					.answers = answers,
					.n_items = 2,
					.verify = true };
	struct outcome all = take(argv[1], data, len, len, len, end);

	for (size_t cut = 1; cut < len && len <= CUTS_MAX; cut++)
		compare(&all, argv[1], data, len, cut, len, end);
	for (size_t size = 1; size < 40 && len <= CUTS_MAX; size++)
		compare(&all, argv[1], data, len, size, size, end);
	if (len > CUTS_MAX)
		all = take(argv[1], data, len, 1000, 1000, end);
	print(&all);
	free(run);
	return 0;
}
