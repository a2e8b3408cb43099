/* SPDX-License-Identifier: MIT */
/* A server that says again what it is told: messages, whose sizes it knows. */
#include <errno.h>
#include <string.h>

#include "worker.h"

#define COPY_MAX 4096 /* larger messages are not copied, but pointed to */

static uint32_t message(const struct worker *w, const struct request *r,
			const uint8_t **text)
{
	const uint32_t *offset = &w->plan->key_offsets[request_item(w, r, 0)];

	*text = w->plan->keys + offset[0];
	return offset[1] - offset[0];
}

static bool echo_valid(const struct load_plan *plan)
{
	for (uint32_t i = 0; i < plan->n_items; i++)
		if (plan->key_offsets[i + 1] <= plan->key_offsets[i])
			return false;
	return true;
}

static void echo_reset(struct conn *c)
{
	parser_reset(&c->parser);
}

static int echo_render(struct worker *w, struct conn *c, struct request *r)
{
	struct output *o = &c->output;
	const uint8_t *text;
	uint32_t len = message(w, r, &text);
	int rc = output_reserve(o, COPY_MAX);

	if (rc)
		return rc;
	r->items = 1;
	r->kind = 0;
	if (len > COPY_MAX)
		return output_reference(o, text, len);
	output_copy(o, text, len);
	return 0;
}

static void ended(struct worker *w, struct conn *c)
{
	struct parser *p = &c->parser;

	if (p->wrong)
		worker_error(w, LOAD_VERIFICATION);
	else if (w->plan->verify)
		BUMP(w->now->verified, 1);
	p->wrong = false;
	p->body_done = 0;
	worker_answered(w, c);
}

/* More than what was said is no echo. */
static int echo_parse(struct worker *w, struct conn *c, const uint8_t *data,
		      size_t len)
{
	struct parser *p = &c->parser;

	while (len) {
		const uint8_t *text;
		size_t part;

		if (!c->in_flight)
			return -EPROTO;
		part = message(w, conn_oldest(c), &text) - p->body_done;
		if (part > len)
			part = len;
		if (w->plan->verify && memcmp(data, text + p->body_done, part))
			p->wrong = true;
		p->body_done += (uint32_t)part;
		data += part;
		len -= part;
		if (p->body_done == message(w, conn_oldest(c), &text))
			ended(w, c);
	}
	return 0;
}

const struct protocol echo = {
	.name = "echo",
	.valid = echo_valid,
	.reset = echo_reset,
	.render = echo_render,
	.parse = echo_parse,
};
