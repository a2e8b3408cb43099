/* SPDX-License-Identifier: MIT */
/* A thread of the load engine: its event loop, its phases, its accounts. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "worker.h"

#define TICK_NS 10000000ULL
#define DRAIN_NS 1000000000ULL
#define SEGMENT_BYTES 1400 /* fits one TCP segment on any network */
#define BUFFER_MIN 4096U
#define BUFFER_MAX 65536U

void worker_clock(struct worker *w)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	w->now_ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* ------------------------------------------------------------- accounts */

static void count_latency(struct histogram *histogram, uint64_t ns)
{
	BUMP(histogram->counts[histogram_index(ns)], 1);
}

/* The answer to the oldest request of this connection begins. */
void worker_first_byte(struct worker *w, struct conn *c)
{
	if (w->phase == LOAD_MEASURING)
		count_latency(&w->first_byte,
			      w->now_ns - conn_oldest(c)->sent_ns);
}

/* The oldest request of this connection has its answer. */
void worker_answered(struct worker *w, struct conn *c)
{
	struct request *r = conn_oldest(c);

	BUMP(w->now->answered[r->kind], 1);
	BUMP(w->now->items[r->kind], r->items);
	if (w->phase == LOAD_MEASURING) {
		count_latency(&w->service, w->now_ns - r->sent_ns);
		if (w->open_loop)
			count_latency(&w->corrected,
				      w->now_ns - r->intended_ns);
	}
	c->head = (c->head + 1) & w->pipeline_mask;
	c->in_flight--;
	c->answered = true;
	w->in_flight--;
}

void worker_error(struct worker *w, enum load_error kind)
{
	BUMP(w->now->errors[kind], 1);
}

/* The run can't go on. */
static void worker_abort(struct worker *w, int error)
{
	__atomic_store_n(&w->run->error, error, __ATOMIC_RELAXED);
	__atomic_store_n(&w->run->stop, true, __ATOMIC_RELAXED);
	w->next_tick_ns = w->now_ns;
}

/* Keep an errno to explain the counts; the very first connect must succeed. */
void worker_errno(struct worker *w, int error, bool connecting)
{
	struct load_run *run = w->run;

	if (error)
		__atomic_store_n(&run->last_error, error, __ATOMIC_RELAXED);
	if (connecting &&
	    !__atomic_load_n(&run->ever_connected, __ATOMIC_RELAXED))
		worker_abort(w, error);
}

void worker_connected(struct worker *w, const struct conn *c)
{
	bool *ever_connected = &w->run->ever_connected;

	if (w->phase == LOAD_MEASURING)
		count_latency(&w->connect, w->now_ns - c->opened_ns);
	w->connected_ns = w->now_ns;
	if (!__atomic_load_n(ever_connected, __ATOMIC_RELAXED))
		__atomic_store_n(ever_connected, true, __ATOMIC_RELAXED);
}

/* Keep the server's words. */
void worker_complaint(struct worker *w, const uint8_t *text, size_t len)
{
	struct load_run *run = w->run;

	if (len >= sizeof(run->complaint))
		len = sizeof(run->complaint) - 1;
	pthread_mutex_lock(&run->lock);
	memcpy(run->complaint, text, len);
	run->complaint[len] = 0;
	pthread_mutex_unlock(&run->lock);
}

/* Nanoseconds this thread could have run and didn't; UINT64_MAX: not known. */
static uint64_t read_waiting_ns(void)
{
	unsigned long long waited;
	FILE *file = fopen("/proc/thread-self/schedstat", "re");
	int n = file ? fscanf(file, "%*u %llu", &waited) : 0;

	if (file)
		fclose(file);
	return n == 1 ? waited : UINT64_MAX;
}

static uint64_t timeval_us(struct timeval tv)
{
	return (uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec;
}

static void read_usage(struct worker *w, struct usage *usage)
{
	struct rusage ru;

	getrusage(RUSAGE_THREAD, &ru);
	usage->at_ns = w->now_ns;
	usage->user_us = timeval_us(ru.ru_utime);
	usage->system_us = timeval_us(ru.ru_stime);
	usage->waiting_ns = read_waiting_ns();
	usage->stats.size = sizeof(usage->stats);
	mp_stats(w->ch, &usage->stats);
}

/* --------------------------------------------------------------- phases */

static void worker_phase(struct worker *w, enum load_phase phase)
{
	__atomic_store_n(&w->phase, phase, __ATOMIC_RELEASE);
	w->now = &w->counters[phase];
}

static void worker_begin(struct worker *w)
{
	struct load_run *run = w->run;

	read_usage(w, &w->begun);
	pace_begin(w);
	worker_phase(w, LOAD_MEASURING);
	if (__atomic_fetch_add(&run->begun, 1, __ATOMIC_ACQ_REL) == 0)
		run->notify(run->arg, LOAD_BEGUN);
}

static void worker_end(struct worker *w)
{
	struct load_run *run = w->run;

	read_usage(w, &w->ended);
	pace_end(w);
	worker_phase(w, LOAD_DRAINING);
	w->drain_until_ns = w->now_ns + (w->plan->timeout_ns < DRAIN_NS ?
						 w->plan->timeout_ns :
						 DRAIN_NS);
	if (__atomic_add_fetch(&run->ended, 1, __ATOMIC_ACQ_REL) ==
	    run->n_workers)
		run->notify(run->arg, LOAD_ENDED);
}

/* The server has gone: for so long nothing has connected. */
static void worker_check_server(struct worker *w)
{
	int error = __atomic_load_n(&w->run->last_error, __ATOMIC_RELAXED);

	if (w->open)
		w->connected_ns = w->now_ns;
	else if (w->phase != LOAD_DRAINING &&
		 w->now_ns > w->connected_ns + w->plan->timeout_ns)
		worker_abort(w, error ? error : -ETIMEDOUT);
}

static void earlier(uint64_t *tick_ns, uint64_t at_ns, uint64_t now_ns)
{
	if (at_ns > now_ns && at_ns < *tick_ns)
		*tick_ns = at_ns;
}

/* Every 10 ms, and when a phase ends. */
static void worker_tick(struct worker *w)
{
	uint64_t begin_ns = w->run->begin_ns;
	uint64_t end_ns = w->plan->duration_ns ?
				  begin_ns + w->plan->duration_ns :
				  UINT64_MAX;
	bool stop = __atomic_load_n(&w->run->stop, __ATOMIC_RELAXED);

	if (w->phase == LOAD_WARMUP && (w->now_ns >= begin_ns || stop))
		worker_begin(w);
	if (w->phase == LOAD_MEASURING && (w->now_ns >= end_ns || stop))
		worker_end(w);
	worker_check_server(w);
	conn_sweep(w);
	w->next_tick_ns = w->now_ns + TICK_NS;
	earlier(&w->next_tick_ns, begin_ns, w->now_ns);
	earlier(&w->next_tick_ns, end_ns, w->now_ns);
}

static bool worker_done(struct worker *w)
{
	if (w->phase == LOAD_MEASURING && !w->in_flight && pace_exhausted(w))
		worker_end(w);
	return w->phase == LOAD_DRAINING &&
	       (!w->in_flight || w->now_ns >= w->drain_until_ns);
}

/* ------------------------------------------------------------- the loop */

static void worker_run(struct worker *w)
{
	struct mp_event ev;

	worker_clock(w);
	pace_start(w);
	w->connected_ns = w->now_ns;
	worker_tick(w);
	for (uint32_t i = 0; i < w->n_conns; i++)
		conn_open(&w->conns[i]);
	while (!worker_done(w)) {
		int rc = mp_dispatch(w->ch, &ev, pace_timeout_us(w));

		/* Most writes need no time. */
		if (rc != 1 || ev.cmd != MP_WRITE)
			worker_clock(w);
		if (rc == 1)
			conn_event(ev.cookie, &ev);
		else if (rc < 0 && rc != -EINTR)
			worker_abort(w, rc);
		if (w->now_ns >= w->next_tick_ns)
			worker_tick(w);
		if (w->open_loop)
			pace_run(w);
	}
}

/* Closes that were asked for happen; then the rest is closed. */
static void worker_close(struct worker *w)
{
	struct mp_event ev;

	for (uint32_t i = 0; i < w->n_conns; i++)
		conn_end(&w->conns[i]);
	while (w->closing && mp_dispatch(w->ch, &ev, 1000000) == 1)
		conn_event(ev.cookie, &ev);
	mp_destroy(w->ch);
}

static uint32_t power_of_two(uint32_t at_least)
{
	return at_least <= 1 ? 1 : 1U << (32 - __builtin_clz(at_least - 1));
}

static uint32_t clamp(uint32_t value, uint32_t low, uint32_t high)
{
	return value < low ? low : value > high ? high : value;
}

static int worker_channel(struct worker *w)
{
	uint32_t answer = clamp(w->plan->answer_size, BUFFER_MIN, BUFFER_MAX);
	struct mp_options options = {
		.size = sizeof(options),
		.engine = w->plan->engine,
		.batch = w->plan->batch,
		.buffers = clamp(power_of_two(2 * w->n_conns), 64, 4096),
		.buffer_size = power_of_two(answer),
		.completions = clamp(power_of_two(4 * w->n_conns),
				     MP_COMPLETIONS_DEFAULT,
				     MP_COMPLETIONS_MAX),
	};

	return mp_create(&options, &w->ch);
}

/* Say that the channel is there, or why not; wait until all may start. */
static bool worker_gate(struct worker *w, int error)
{
	struct load_run *run = w->run;

	pthread_mutex_lock(&run->lock);
	if (error)
		run->error = error;
	else
		snprintf(run->engine, sizeof(run->engine), "%s",
			 mp_engine_name(w->ch));
	run->ready++;
	pthread_cond_broadcast(&run->changed);
	while (run->gate == GATE_SHUT)
		pthread_cond_wait(&run->changed, &run->lock);
	bool open = run->gate == GATE_OPEN;

	pthread_mutex_unlock(&run->lock);
	return open;
}

void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct load_run *run = w->run;

	/*
	 * A table of files of its own: the kernel then needs no atomic
	 * reference at each system call. Where it isn't allowed it only costs.
	 */
	unshare(CLONE_FILES);
	int error = worker_channel(w);
	bool go = worker_gate(w, error);

	if (go) {
		if (w->open_loop)
			prctl(PR_SET_TIMERSLACK, 1UL);
		worker_run(w);
	}
	if (!error)
		worker_close(w);
	if (go && __atomic_add_fetch(&run->finished, 1, __ATOMIC_ACQ_REL) ==
			  run->n_workers)
		run->notify(run->arg, LOAD_FINISHED);
	return NULL;
}

/* --------------------------------------------------------------- making */

static int worker_conns(struct worker *w)
{
	w->conns = calloc(w->n_conns, sizeof(*w->conns));
	w->queue = calloc(w->n_conns, sizeof(struct conn *));
	w->requests = calloc((size_t)w->n_conns * (w->pipeline_mask + 1),
			     sizeof(*w->requests));
	if (!w->conns || !w->queue || !w->requests)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->n_conns; i++) {
		w->conns[i].worker = w;
		w->conns[i].requests =
			&w->requests[(size_t)i * (w->pipeline_mask + 1)];
	}
	return 0;
}

int worker_init(struct worker *w, struct load_run *run, uint32_t index)
{
	const struct load_plan *plan = &run->plan;

	w->run = run;
	w->plan = plan;
	w->index = index;
	w->protocol = run->protocol;
	w->sequence = plan->sequences + (size_t)index * plan->sequence_len;
	w->gaps_ns = plan->gaps_ns + (size_t)index * plan->n_gaps;
	w->open_loop = plan->n_gaps > 0;
	w->no_delay = plan->pipeline > 1 || plan->request_size > SEGMENT_BYTES;
	w->next_limit = index % plan->n_limits;
	w->pipeline_mask = power_of_two(plan->pipeline) - 1;
	w->n_conns = plan->concurrency / plan->threads +
		     (index < plan->concurrency % plan->threads);
	w->allowance = !plan->requests || plan->warmup_ns ? UINT64_MAX : 0;
	for (uint32_t i = index; plan->once && i < plan->n_limits;
	     i += plan->threads)
		w->allowance += plan->limits[i];
	worker_phase(w, LOAD_WARMUP);
	return worker_conns(w);
}

void worker_free(struct worker *w)
{
	for (uint32_t i = 0; w->conns && i < w->n_conns; i++) {
		free(w->conns[i].output.buf);
		free(w->conns[i].output.segments);
	}
	free(w->conns);
	free(w->queue);
	free(w->requests);
}
