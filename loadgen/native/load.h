/* SPDX-License-Identifier: MIT */
/*
 * The load engine: threads that walk a plan. What is sent is decided by who
 * makes the plan (TypeScript); the engine sends it, on time, and counts what
 * comes back. This header is all of it that the outside sees.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "../../libmegapipe/megapipe.h"
#include "histogram.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of requests; what they are is the protocol's affair. */
#define LOAD_KINDS 4

/* An entry of a sequence: the kind in the upper bits, the item below. */
#define LOAD_ITEM_BITS 30
#define LOAD_ITEM_MASK ((1U << LOAD_ITEM_BITS) - 1)

#define LOAD_PIPELINE_MAX 4096
#define LOAD_MULTIGET_MAX 65535

/* Statuses of HTTP: 100 to 599. */
#define LOAD_STATUS_FIRST 100
#define LOAD_STATUSES 500

/*
 * What can go wrong with a request or a connection, with the names that
 * TypeScript has for it (loadgen/error-counts.ts):
 *
 * CONNECT: connect() failed.
 * PORTS: connect() found no free local port.
 * REFUSED: the server said that it has too many connections.
 * RESET: the peer ended a connection that was in use.
 * CLOSED: the server said that it ends a connection, and requests were behind
 *	the answer that said so.
 * TIMEOUT: nothing came for so long.
 * PROTOCOL: what came was no answer.
 * SERVER: the server answered with an error.
 * VERIFICATION: a value was not what was stored.
 * OTHER: any other errno.
 */
#define LOAD_ERROR_KINDS(KIND)                  \
	KIND(LOAD_CONNECT, "connect")           \
	KIND(LOAD_PORTS, "portExhaustion")      \
	KIND(LOAD_REFUSED, "refused")           \
	KIND(LOAD_RESET, "reset")               \
	KIND(LOAD_CLOSED, "closed")             \
	KIND(LOAD_TIMEOUT, "timeout")           \
	KIND(LOAD_PROTOCOL, "protocol")         \
	KIND(LOAD_SERVER, "server")             \
	KIND(LOAD_VERIFICATION, "verification") \
	KIND(LOAD_OTHER, "other")

enum load_error {
#define LOAD_ERROR_NUMBER(number, name) number,
	LOAD_ERROR_KINDS(LOAD_ERROR_NUMBER)
#undef LOAD_ERROR_NUMBER
		LOAD_ERRORS
};

/* How the content of an answer is checked (HTTP). */
enum load_check { LOAD_CHECK_NOT, LOAD_CHECK_PATTERN, LOAD_CHECK_CRC32 };

#define LOAD_IS_HEAD 1	  /* no body comes */
#define LOAD_SENDS_BODY 2 /* the plan's body follows the head */
#define LOAD_ANY_LENGTH UINT32_MAX

/* What an item is, and what its answer must be (HTTP). */
struct load_answer {
	uint16_t status; /* 0: any */
	uint8_t check;
	uint8_t flags;
	uint32_t length;  /* of the body */
	uint32_t content; /* where in the pattern it starts, or its CRC-32 */
};

/*
 * All that is sent, and how. Memory that is pointed to belongs to the caller
 * and stays until load_free().
 */
struct load_plan {
	const char *protocol;
	struct sockaddr_storage address;
	socklen_t address_len;

	const char *engine; /* of mp_options, as is batch */
	uint32_t batch;
	uint32_t threads;
	const uint32_t *cpus; /* thread i runs on cpus[i] */

	uint32_t concurrency; /* connections, all threads together */
	uint32_t pipeline;    /* requests in flight on a connection */
	bool reset_close;     /* close by RST, else by FIN */
	uint64_t timeout_ns;

	uint64_t warmup_ns;
	uint64_t duration_ns; /* 0: until requests are answered */
	uint64_t requests;    /* 0: until duration is over */

	/*
	 * Requests of each connection, in turn; 0: no limit. Thread i has the
	 * i-th and each threads-th after it.
	 */
	const uint32_t *limits;
	uint32_t n_limits;

	/*
	 * Where in the sequence each connection begins, one a limit; none: the
	 * connections of a thread share one walk. A connection that has such a
	 * place and ends early goes on there as a new one.
	 */
	const uint32_t *starts;
	uint32_t n_starts;
	bool once; /* no connection twice; requests: of all limits */

	/*
	 * Open loop: from one request of a thread to its next, one series a
	 * thread, in turn; none: closed.
	 */
	const double *gaps_ns;
	uint32_t n_gaps; /* of a thread */

	/* One sequence a thread, walked round and round. */
	const uint32_t *sequences;
	uint32_t sequence_len;

	uint32_t request_size; /* the largest */
	uint32_t answer_size;  /* the largest, or what is a good buffer */

	/*
	 * Items: keys and sizes of their values (memcached); heads of requests,
	 * blank line included (HTTP); messages (echo).
	 */
	const uint8_t *keys;
	const uint32_t *key_offsets; /* n_items + 1 */
	const uint32_t *value_sizes;
	uint32_t n_items;
	uint32_t multiget;
	bool verify;

	/*
	 * Item i's value starts at pattern[load_value_start(i)] (memcached).
	 * For HTTP the pattern repeats itself; LOAD_PATTERN_RUN bytes of the
	 * repeat are there.
	 */
	const uint8_t *pattern;
	uint32_t pattern_len;

	const struct load_answer *answers; /* n_items of them (HTTP) */
	const uint8_t *body;
	uint32_t body_len;
	bool announce_close; /* the last request says Connection: close */
};

#define LOAD_PATTERN_RUN 65536U

/* A value is a cut from the pattern; which cut tells one item from another. */
#define LOAD_PATTERN_SLACK 4096
static inline uint32_t load_value_start(uint32_t item)
{
	return (item * 2654435761U) >> 20;
}

/*
 * Counts of one number each, with TypeScript's names:
 *
 * sent: requests handed to the channel.
 * failed: requests that got no answer.
 * unsent: open loop: due, but not sent when it ended.
 * body_bytes: of bytes_received, those of bodies (HTTP).
 */
#define LOAD_PLAIN_COUNTERS(COUNTER)             \
	COUNTER(sent, "sent")                    \
	COUNTER(failed, "failed")                \
	COUNTER(unsent, "unsent")                \
	COUNTER(hits, "hits")                    \
	COUNTER(misses, "misses")                \
	COUNTER(verified, "verified")            \
	COUNTER(bytes_sent, "bytesSent")         \
	COUNTER(bytes_received, "bytesReceived") \
	COUNTER(body_bytes, "bodyBytes")         \
	COUNTER(connections, "connections")

struct load_counters {
#define LOAD_COUNTER_MEMBER(member, name) uint64_t member;
	LOAD_PLAIN_COUNTERS(LOAD_COUNTER_MEMBER)
#undef LOAD_COUNTER_MEMBER
	uint64_t answered[LOAD_KINDS]; /* requests, whatever the answer was */
	uint64_t items[LOAD_KINDS];    /* as answered, but each key of a
					  multiget is counted */
	uint64_t errors[LOAD_ERRORS];
	uint64_t statuses[LOAD_STATUSES]; /* of answers (HTTP) */
};

enum load_phase { LOAD_WARMUP, LOAD_MEASURING, LOAD_DRAINING, LOAD_PHASES };

/* One thread's share of the measuring window. */
struct load_thread {
	uint32_t cpu;
	uint64_t wall_ns;
	uint64_t user_us;
	uint64_t system_us;
	uint64_t waiting_ns; /* runnable, but not on its CPU */
};

struct load_snapshot {
	enum load_phase phase;
	bool finished;
	int error;	     /* why the run could not go on: -errno */
	int last_error;	     /* -errno of the latest failed connection */
	char complaint[128]; /* the server's words at its latest error */
	char engine[16];
	uint64_t begin_ns; /* of the measuring window; CLOCK_MONOTONIC */
	uint64_t end_ns;
	uint64_t now_ns;
	uint32_t open; /* connections now */
	struct load_counters counters[LOAD_PHASES];
	struct mp_stats stats; /* in the measuring window */
	uint64_t service[HISTOGRAM_COUNTS];
	uint64_t corrected[HISTOGRAM_COUNTS];
	uint64_t first_byte[HISTOGRAM_COUNTS]; /* from sending it (HTTP) */
	uint64_t connect[HISTOGRAM_COUNTS];
};

struct load_run;

/* Called from the threads: the measuring window begins, ends; all is over. */
enum load_notice { LOAD_BEGUN, LOAD_ENDED, LOAD_FINISHED };
typedef void load_notify(void *arg, enum load_notice notice);

/* 0, or -errno: what mp_create() says, or -EINVAL for nonsense in the plan. */
int load_start(const struct load_plan *plan, load_notify *notify, void *arg,
	       struct load_run **run);

/* May be called at any time, from any one thread. */
void load_snapshot(struct load_run *run, struct load_snapshot *snapshot);
void load_thread(struct load_run *run, uint32_t index,
		 struct load_thread *thread);

/* End early: the window closes now, then comes LOAD_FINISHED. */
void load_stop(struct load_run *run);

/* Wait for the threads (after LOAD_FINISHED: not long) and free it all. */
void load_free(struct load_run *run);

#ifdef __cplusplus
}
#endif
#endif
