/* SPDX-License-Identifier: MIT */
/* A run of the load engine: starts the threads, adds up what they counted. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "worker.h"

static const struct protocol *const protocols[] = {
	&memcached_ascii,
	&memcached_binary,
	&http,
	&echo,
};

static const struct protocol *find_protocol(const char *name)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++)
		if (!strcmp(protocols[i]->name, name))
			return protocols[i];
	return NULL;
}

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static bool counts_valid(const struct load_plan *plan)
{
	return plan->threads && plan->threads <= plan->concurrency &&
	       plan->pipeline && plan->pipeline <= LOAD_PIPELINE_MAX &&
	       plan->multiget && plan->multiget <= LOAD_MULTIGET_MAX &&
	       plan->n_limits && plan->sequence_len && plan->n_items &&
	       plan->n_items <= LOAD_ITEM_MASK && plan->timeout_ns &&
	       (plan->duration_ns || plan->requests);
}

/* A connection's walk begins within the sequence; one made once has an end. */
static bool starts_valid(const struct load_plan *plan)
{
	if (plan->n_starts ? plan->n_starts != plan->n_limits : plan->once)
		return false;
	for (uint32_t i = 0; i < plan->n_starts; i++)
		if (plan->starts[i] >= plan->sequence_len ||
		    (plan->once && !plan->limits[i]))
			return false;
	return true;
}

/* What the walk through the plan relies on. */
static bool plan_valid(const struct load_plan *plan)
{
	const struct protocol *protocol = find_protocol(plan->protocol);

	if (!protocol || !counts_valid(plan) || !starts_valid(plan))
		return false;
	for (uint32_t i = 0; i < plan->n_items; i++)
		if (plan->key_offsets[i] > plan->key_offsets[i + 1])
			return false;
	for (size_t i = 0; i < (size_t)plan->threads * plan->sequence_len; i++)
		if ((plan->sequences[i] & LOAD_ITEM_MASK) >= plan->n_items)
			return false;
	return protocol->valid(plan);
}

static int start_thread(struct worker *w, uint32_t cpu)
{
	pthread_attr_t attr;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_attr_init(&attr);
	int rc = pthread_attr_setaffinity_np(&attr, sizeof(set), &set);

	if (!rc)
		rc = pthread_create(&w->thread, &attr, worker_main, w);
	pthread_attr_destroy(&attr);
	return -rc;
}

static void release(struct load_run *run)
{
	for (uint32_t i = 0; i < run->n_workers; i++)
		worker_free(&run->workers[i]);
	pthread_mutex_destroy(&run->lock);
	pthread_cond_destroy(&run->changed);
	free(run);
}

static struct load_run *make_run(const struct load_plan *plan,
				 load_notify *notify, void *arg)
{
	size_t size =
		sizeof(struct load_run) + plan->threads * sizeof(struct worker);
	struct load_run *run = aligned_alloc(64, (size + 63) / 64 * 64);

	if (!run)
		return NULL;
	memset(run, 0, size);
	run->plan = *plan;
	run->protocol = find_protocol(plan->protocol);
	run->notify = notify;
	run->arg = arg;
	run->budget = (int64_t)plan->requests;
	pthread_mutex_init(&run->lock, NULL);
	pthread_cond_init(&run->changed, NULL);
	for (; run->n_workers < plan->threads; run->n_workers++)
		if (worker_init(&run->workers[run->n_workers], run,
				run->n_workers)) {
			run->n_workers++;
			release(run);
			return NULL;
		}
	return run;
}

/* The threads have their channels, or an error. */
static int await_channels(struct load_run *run, uint32_t started)
{
	pthread_mutex_lock(&run->lock);
	while (run->ready < started)
		pthread_cond_wait(&run->changed, &run->lock);
	int error = run->error;

	pthread_mutex_unlock(&run->lock);
	return error;
}

static void open_gate(struct load_run *run, enum gate gate)
{
	pthread_mutex_lock(&run->lock);
	run->begin_ns = clock_ns() + run->plan.warmup_ns;
	run->gate = gate;
	pthread_cond_broadcast(&run->changed);
	pthread_mutex_unlock(&run->lock);
}

static void join(struct load_run *run, uint32_t started)
{
	for (uint32_t i = 0; i < started; i++)
		pthread_join(run->workers[i].thread, NULL);
}

static int start_threads(struct load_run *run)
{
	uint32_t started = 0;
	int rc = 0;

	while (!rc && started < run->n_workers) {
		rc = start_thread(&run->workers[started],
				  run->plan.cpus[started]);
		started += !rc;
	}
	int error = await_channels(run, started);

	rc = rc ? rc : error;
	open_gate(run, rc ? GATE_CANCELLED : GATE_OPEN);
	if (rc)
		join(run, started);
	return rc;
}

int load_start(const struct load_plan *plan, load_notify *notify, void *arg,
	       struct load_run **out)
{
	if (!plan_valid(plan))
		return -EINVAL;
	struct load_run *run = make_run(plan, notify, arg);

	if (!run)
		return -ENOMEM;
	int rc = start_threads(run);

	if (rc)
		release(run);
	else
		*out = run;
	return rc;
}

void load_stop(struct load_run *run)
{
	__atomic_store_n(&run->stop, true, __ATOMIC_RELAXED);
}

void load_free(struct load_run *run)
{
	load_stop(run);
	join(run, run->n_workers);
	release(run);
}

/* ------------------------------------------------------------- snapshot */

/* Both are nothing but numbers of 64 bits. */
static void add(void *sum, const void *part, size_t size)
{
	uint64_t *to = sum;
	const uint64_t *from = part;

	for (size_t i = 0; i < size / sizeof(*to); i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

static void add_stats(struct mp_stats *sum, const struct usage *begun,
		      const struct usage *ended)
{
	const struct mp_stats *from = &begun->stats, *to = &ended->stats;

	sum->requests += to->requests - from->requests;
	sum->completions += to->completions - from->completions;
	sum->flushes += to->flushes - from->flushes;
	sum->flushed += to->flushed - from->flushed;
	sum->fetches += to->fetches - from->fetches;
	sum->fetched += to->fetched - from->fetched;
	sum->crossings += to->crossings - from->crossings;
	sum->buffer_waits += to->buffer_waits - from->buffer_waits;
	sum->overflows += to->overflows - from->overflows;
}

static enum load_phase worker_at(const struct worker *w)
{
	return __atomic_load_n(&w->phase, __ATOMIC_ACQUIRE);
}

static void add_worker(struct load_snapshot *s, const struct worker *w)
{
	enum load_phase phase = worker_at(w);

	s->open += __atomic_load_n(&w->open, __ATOMIC_RELAXED);
	add(s->counters, w->counters, sizeof(s->counters));
	add(s->service, w->service.counts, sizeof(s->service));
	add(s->corrected, w->corrected.counts, sizeof(s->corrected));
	add(s->first_byte, w->first_byte.counts, sizeof(s->first_byte));
	add(s->connect, w->connect.counts, sizeof(s->connect));
	s->phase = phase < s->phase ? phase : s->phase;
	if (phase != LOAD_DRAINING)
		return;
	add_stats(&s->stats, &w->begun, &w->ended);
	if (w->ended.at_ns > s->end_ns)
		s->end_ns = w->ended.at_ns;
}

void load_snapshot(struct load_run *run, struct load_snapshot *s)
{
	memset(s, 0, sizeof(*s));
	s->phase = LOAD_DRAINING;
	s->finished = __atomic_load_n(&run->finished, __ATOMIC_ACQUIRE) ==
		      run->n_workers;
	s->error = __atomic_load_n(&run->error, __ATOMIC_RELAXED);
	s->last_error = __atomic_load_n(&run->last_error, __ATOMIC_RELAXED);
	s->begin_ns = run->begin_ns;
	s->now_ns = clock_ns();
	pthread_mutex_lock(&run->lock);
	memcpy(s->complaint, run->complaint, sizeof(s->complaint));
	memcpy(s->engine, run->engine, sizeof(s->engine));
	pthread_mutex_unlock(&run->lock);
	for (uint32_t i = 0; i < run->n_workers; i++)
		add_worker(s, &run->workers[i]);
}

void load_thread(struct load_run *run, uint32_t index,
		 struct load_thread *thread)
{
	const struct worker *w = &run->workers[index];
	bool known = w->begun.waiting_ns != UINT64_MAX &&
		     w->ended.waiting_ns != UINT64_MAX;

	*thread = (struct load_thread){ .cpu = run->plan.cpus[index] };
	if (worker_at(w) != LOAD_DRAINING)
		return;
	thread->wall_ns = w->ended.at_ns - w->begun.at_ns;
	thread->user_us = w->ended.user_us - w->begun.user_us;
	thread->system_us = w->ended.system_us - w->begun.system_us;
	thread->waiting_ns = known ? w->ended.waiting_ns - w->begun.waiting_ns :
				     UINT64_MAX;
}
