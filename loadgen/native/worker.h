/* SPDX-License-Identifier: MIT */
/* Inside the load engine: a thread, its connections, and what a protocol is. */
#ifndef WORKER_H
#define WORKER_H

#include <pthread.h>
#include <stddef.h>
#include <sys/uio.h>

#include <llhttp.h>

#include "load.h"

/* In flight on a connection, oldest first. */
struct request {
	uint64_t intended_ns;
	uint64_t sent_ns;
	uint32_t position; /* in the thread's sequence */
	uint16_t items;
	uint8_t kind;
};

/*
 * What a connection is about to write. Small things are copied to buf; large
 * values are pointed to.
 */
struct output {
	uint8_t *buf;
	uint32_t used;
	uint32_t size;
	uint32_t tail; /* where in buf the last segment starts */
	uint32_t n_segments;
	uint32_t segments_size;
	struct iovec *segments;
};

enum conn_state { CONN_RETIRED, CONN_WAITING, CONN_CONNECTING, CONN_OPEN };

/* Where a parser is in an answer; memory for what was split. */
struct parser {
	uint64_t body_left;  /* bytes of the body and what ends it */
	uint32_t body_done;  /* bytes of the value seen */
	uint32_t value_size; /* announced */
	uint32_t item;	     /* whose value it is */
	uint16_t next;	     /* of a multiget, items answered so far */
	uint16_t kept;	     /* bytes in line */
	bool wrong;	     /* the value isn't what it should be */
	bool in_body;	     /* these four: binary protocol */
	uint8_t opcode;
	uint16_t status;
	uint32_t skip; /* bytes of the body before the value */
	uint8_t line[512];
};

/* The same of HTTP, around llhttp's. */
struct http_parser {
	llhttp_t llhttp;
	const char *reason;	/* why it is no answer, where we found that */
	uint64_t body_done;	/* bytes of the body seen */
	uint32_t crc;		/* of them */
	uint32_t head_bytes;	/* of a head that came in many pieces */
	uint32_t informational; /* answers before the answer */
	bool in_head;
	bool begun; /* something of the answer has come */
	bool wrong; /* the body isn't what it should be */
	bool last;  /* the server ends the connection */
};

struct conn {
	struct mp_handle *handle;
	struct worker *worker;
	int fd;
	enum conn_state state;
	bool writing;	   /* the channel owns output */
	bool available;	   /* open loop: in the queue */
	bool answered;	   /* at least one request on this connection */
	bool broken;	   /* a write failed: the end is to be received */
	uint32_t left;	   /* requests it may still send */
	uint32_t position; /* in the sequence, where the plan has starts */
	uint32_t head;	   /* oldest request in flight */
	uint32_t in_flight;
	uint64_t active_ns; /* when anything last moved */
	uint64_t opened_ns;
	struct request *requests;
	struct output output;
	union {
		struct parser parser;
		struct http_parser http;
	};
};

struct worker;

struct protocol {
	const char *name;
	/* Is this a plan for it? The rest of the plan has been checked. */
	bool (*valid)(const struct load_plan *plan);
	/* A connection begins. */
	void (*reset)(struct conn *c);
	/* Append the request at the sequence's position. */
	int (*render)(struct worker *w, struct conn *c, struct request *r);
	/*
	 * Take bytes as they come; worker_answered() for each request that
	 * they end. -EPROTO: no answer; -EUSERS: too many connections;
	 * -ESHUTDOWN: the server said that it ends the connection.
	 */
	int (*parse)(struct worker *w, struct conn *c, const uint8_t *data,
		     size_t len);
	/* The peer has ended the connection; was it free to? NULL: never. */
	bool (*end)(struct worker *w, struct conn *c);
};

extern const struct protocol echo;
extern const struct protocol http;
extern const struct protocol memcached_ascii;
extern const struct protocol memcached_binary;

struct usage {
	uint64_t at_ns;
	uint64_t user_us;
	uint64_t system_us;
	uint64_t waiting_ns;
	struct mp_stats stats;
};

struct worker {
	/* hot */
	struct mp_channel *ch;
	const struct load_plan *plan;
	const struct protocol *protocol;
	struct load_counters *now; /* counters of the phase */
	uint64_t now_ns;
	uint64_t next_tick_ns;
	uint64_t allowance; /* requests it may send without asking */
	const uint32_t *sequence;
	uint32_t position;
	uint32_t next_limit;
	uint32_t pipeline_mask;
	bool measuring;
	bool open_loop;
	bool no_delay; /* requests don't always fit one segment */
	uint32_t in_flight;
	uint32_t open;
	uint32_t closing; /* mp_close() asked for, MP_CLOSE not seen */

	/* open loop */
	double due_ns;
	const double *gaps_ns;
	uint32_t next_gap;
	struct conn **queue; /* a ring of connections that can send */
	uint32_t queue_head;
	uint32_t queue_len;

	struct conn *conns;
	struct request *requests;
	uint32_t n_conns;
	uint32_t index;
	enum load_phase phase;
	uint64_t drain_until_ns;
	uint64_t connected_ns; /* when a connection was open, the last time it
				  was looked */
	struct load_run *run;
	pthread_t thread;
	struct usage begun;
	struct usage ended;
	struct load_counters counters[LOAD_PHASES];
	struct histogram service;
	struct histogram corrected;
	struct histogram first_byte;
	struct histogram connect;
};

/* The threads start together, once all have their channel; or not at all. */
enum gate { GATE_SHUT, GATE_OPEN, GATE_CANCELLED };

struct load_run {
	struct load_plan plan;
	load_notify *notify;
	void *arg;
	const struct protocol *protocol;
	pthread_mutex_t lock; /* of gate, ready, complaint, engine */
	pthread_cond_t changed;
	enum gate gate;
	uint32_t ready;	   /* threads that have a channel, or an error */
	uint64_t begin_ns; /* of the window */
	int64_t budget;	   /* requests not yet given to a thread */
	uint32_t begun;
	uint32_t ended;
	uint32_t finished;
	bool ever_connected;
	bool stop;
	int error;
	int last_error;
	char complaint[128];
	char engine[16];
	uint32_t n_workers;
	struct worker workers[];
};

/* Counters have one writer; readers elsewhere see whole numbers. */
#define BUMP(counter, n) \
	__atomic_store_n(&(counter), (counter) + (n), __ATOMIC_RELAXED)

int worker_init(struct worker *w, struct load_run *run, uint32_t index);
void worker_free(struct worker *w);
void *worker_main(void *arg);

/* conn.c */
void conn_open(struct conn *c);
bool conn_pump(struct conn *c);
bool conn_can_send(const struct conn *c);
bool conn_send(struct conn *c, uint64_t intended_ns);
void conn_event(struct conn *c, const struct mp_event *ev);
void conn_fail(struct conn *c, enum load_error kind);
void conn_sweep(struct worker *w);
void conn_end(struct conn *c);

/* pace.c */
bool pace_exhausted(struct worker *w);
void pace_start(struct worker *w);
void pace_begin(struct worker *w);
void pace_end(struct worker *w);
void pace_offer(struct conn *c);
void pace_run(struct worker *w);
int64_t pace_timeout_us(struct worker *w);

/* worker.c */
void worker_clock(struct worker *w);
void worker_connected(struct worker *w, const struct conn *c);
void worker_error(struct worker *w, enum load_error kind);
void worker_errno(struct worker *w, int error, bool connecting);

/* For protocols. */
static inline void parser_reset(struct parser *p)
{
	__builtin_memset(p, 0, offsetof(struct parser, line));
}

static inline struct request *conn_oldest(struct conn *c)
{
	return &c->requests[c->head];
}

static inline uint32_t request_item(const struct worker *w,
				    const struct request *r, uint32_t nth)
{
	uint32_t at = r->position + nth;

	if (at >= w->plan->sequence_len)
		at %= w->plan->sequence_len;
	return w->sequence[at] & LOAD_ITEM_MASK;
}

void worker_answered(struct worker *w, struct conn *c);
void worker_first_byte(struct worker *w, struct conn *c);
void worker_complaint(struct worker *w, const uint8_t *text, size_t len);

/* output.c */
int output_reserve(struct output *o, uint32_t bytes);
int output_reference(struct output *o, const void *data, uint32_t len);
uint32_t output_finish(struct output *o);
void output_clear(struct output *o);

/* Within what output_reserve() has made room for. */
static inline void output_copy(struct output *o, const void *data, uint32_t len)
{
	__builtin_memcpy(o->buf + o->used, data, len);
	o->used += len;
}

#endif
