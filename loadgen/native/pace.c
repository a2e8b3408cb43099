/* SPDX-License-Identifier: MIT */
/* When to send: the budget of requests, and the schedule of an open loop. */
#include "worker.h"

#define CHUNK 32

/* Is there a request left to be sent? The budget is handed out in chunks. */
static bool has_more(struct worker *w)
{
	if (w->allowance)
		return true;
	if (w->phase == LOAD_DRAINING || !w->plan->requests || w->plan->once)
		return false;

	int64_t left =
		__atomic_fetch_sub(&w->run->budget, CHUNK, __ATOMIC_RELAXED);

	if (left <= 0)
		return false;
	w->allowance = left < CHUNK ? (uint64_t)left : CHUNK;
	return true;
}

bool pace_exhausted(struct worker *w)
{
	return !has_more(w);
}

/* Requests of the warm-up that are answered in the window count as its own. */
void pace_begin(struct worker *w)
{
	if (!w->plan->requests || w->plan->once)
		return;
	w->allowance = 0;
	__atomic_fetch_sub(&w->run->budget, (int64_t)w->in_flight,
			   __ATOMIC_RELAXED);
}

/*
 * Threads take turns: all count from the instant at which they were let go,
 * whenever each of them got to run, each from its own part of a gap.
 */
void pace_start(struct worker *w)
{
	const struct load_plan *plan = w->plan;

	w->due_ns = (double)(w->run->begin_ns - plan->warmup_ns);
	if (w->open_loop)
		w->due_ns += w->gaps_ns[0] * w->index / plan->threads;
}

static void next_due(struct worker *w)
{
	w->due_ns += w->gaps_ns[w->next_gap];
	if (++w->next_gap == w->plan->n_gaps)
		w->next_gap = 0;
}

/* Requests whose time has come without a connection free to send them. */
void pace_end(struct worker *w)
{
	bool more = has_more(w);

	w->allowance = 0;
	while (w->open_loop && more && w->due_ns < (double)w->now_ns) {
		BUMP(w->now->unsent, 1);
		next_due(w);
	}
}

/* Open loop: this connection could send. Those that wait longest go first. */
void pace_offer(struct conn *c)
{
	struct worker *w = c->worker;

	if (c->available || !conn_can_send(c))
		return;
	uint32_t at = w->queue_head + w->queue_len++;

	w->queue[at < w->n_conns ? at : at - w->n_conns] = c;
	c->available = true;
}

static struct conn *pace_pop(struct worker *w)
{
	struct conn *c = w->queue[w->queue_head];

	if (++w->queue_head == w->n_conns)
		w->queue_head = 0;
	w->queue_len--;
	c->available = false;
	return conn_can_send(c) ? c : NULL;
}

void pace_run(struct worker *w)
{
	while (w->due_ns <= (double)w->now_ns && w->queue_len && has_more(w)) {
		struct conn *c = pace_pop(w);

		if (!c)
			continue;
		uint64_t intended_ns = (uint64_t)w->due_ns;

		next_due(w);
		if (conn_send(c, intended_ns))
			pace_offer(c);
	}
}

/* How long a dispatch may wait. */
int64_t pace_timeout_us(struct worker *w)
{
	uint64_t until_ns = w->next_tick_ns;

	if (w->open_loop && w->queue_len && w->due_ns < (double)until_ns)
		until_ns = (uint64_t)w->due_ns;
	return until_ns <= w->now_ns ?
		       0 :
		       (int64_t)((until_ns - w->now_ns + 999) / 1000);
}
