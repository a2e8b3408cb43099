/* SPDX-License-Identifier: MIT */
/* What both memcached protocols share: kinds, keys, values and their check. */
#ifndef MEMCACHED_H
#define MEMCACHED_H

#include <string.h>

#include "worker.h"

enum memcached_kind { MEMCACHED_GET, MEMCACHED_SET };

#define KEY_MAX 250
#define COPY_MAX 4096 /* larger values are not copied, but pointed to */

static inline uint32_t memcached_key(const struct load_plan *plan,
				     uint32_t item, const uint8_t **key)
{
	*key = plan->keys + plan->key_offsets[item];
	return plan->key_offsets[item + 1] - plan->key_offsets[item];
}

static inline const uint8_t *memcached_value(const struct load_plan *plan,
					     uint32_t item)
{
	return plan->pattern + load_value_start(item);
}

/* Fill what a request says of itself; its items are the sequence's next. */
static inline void memcached_request(const struct worker *w, struct request *r)
{
	r->kind = (uint8_t)(w->sequence[r->position] >> LOAD_ITEM_BITS);
	r->items = r->kind == MEMCACHED_GET ? (uint16_t)w->plan->multiget : 1;
}

/* Append a value; there is room for COPY_MAX bytes. */
static inline int memcached_append_value(struct output *o,
					 const struct load_plan *plan,
					 uint32_t item)
{
	uint32_t size = plan->value_sizes[item];

	if (size > COPY_MAX)
		return output_reference(o, memcached_value(plan, item), size);
	output_copy(o, memcached_value(plan, item), size);
	return 0;
}

/* A value of p->value_size bytes for p->item begins. */
static inline void memcached_value_begins(const struct worker *w,
					  struct parser *p)
{
	p->body_done = 0;
	p->wrong = p->wrong || p->value_size != w->plan->value_sizes[p->item];
}

/* Some bytes of it have come. */
static inline void memcached_value_part(const struct worker *w,
					struct parser *p, const uint8_t *data,
					uint32_t len)
{
	const uint8_t *expected =
		memcached_value(w->plan, p->item) + p->body_done;

	if (w->plan->verify && !p->wrong && memcmp(data, expected, len))
		p->wrong = true;
	p->body_done += len;
}

static inline void memcached_value_ends(struct worker *w, struct parser *p)
{
	BUMP(w->now->hits, 1);
	if (w->plan->verify && p->wrong)
		worker_error(w, LOAD_VERIFICATION);
	else if (w->plan->verify)
		BUMP(w->now->verified, 1);
	p->wrong = false;
	p->next++;
}

static inline void memcached_reset(struct conn *c)
{
	parser_reset(&c->parser);
}

/* Keys are of a length, and all of each value is in the pattern. */
static inline bool memcached_valid(const struct load_plan *plan)
{
	for (uint32_t i = 0; i < plan->n_items; i++) {
		uint32_t len = plan->key_offsets[i + 1] - plan->key_offsets[i];

		if (!len || len > KEY_MAX || plan->value_sizes[i] > INT32_MAX ||
		    plan->value_sizes[i] + LOAD_PATTERN_SLACK >
			    plan->pattern_len)
			return false;
	}
	return true;
}

static inline bool memcached_is_refusal(const uint8_t *text, size_t len)
{
	static const char refusal[] = "ERROR Too many open connections";

	return len >= sizeof(refusal) - 1 &&
	       !memcmp(text, refusal, sizeof(refusal) - 1);
}

#endif
