// SPDX-License-Identifier: MIT
/* Two threads that got to run at different times: print when each request was
 * due, from when they were let go. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker.h"

#define LET_GO_NS 1000000ULL
#define WARMUP_NS 500ULL

bool conn_can_send(const struct conn *c)
{
	(void)c;
	return true;
}

bool conn_send(struct conn *c, uint64_t intended_ns)
{
	printf("%u %llu\n", c->worker->index,
	       (unsigned long long)(intended_ns - LET_GO_NS));
	return true;
}

int main(void)
{
	static const double gaps[] = { 100, 100 };
	size_t size = sizeof(struct load_run) + 2 * sizeof(struct worker);
	struct load_run *run = aligned_alloc(64, (size + 63) / 64 * 64);

	if (!run)
		return 1;
	memset(run, 0, size);
	run->begin_ns = LET_GO_NS + WARMUP_NS;
	run->plan.threads = 2;
	run->plan.warmup_ns = WARMUP_NS;
	run->plan.gaps_ns = gaps;
	run->plan.n_gaps = 1;
	for (uint32_t i = 0; i < 2; i++) {
		struct worker *w = &run->workers[i];
		struct conn c = { .worker = w };
		struct conn *queue[1];

		w->run = run;
		w->plan = &run->plan;
		w->index = i;
		w->gaps_ns = &gaps[i];
		w->open_loop = true;
		w->allowance = 1000;
		w->queue = queue;
		w->n_conns = 1;
		w->now_ns = LET_GO_NS + 70 * i;
		pace_start(w);
		pace_offer(&c);
		w->now_ns = LET_GO_NS + 260;
		pace_run(w);
	}
	free(run);
	return 0;
}
