/* SPDX-License-Identifier: MIT */
/* memcached's binary protocol: protocol-binary.txt of its sources. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "memcached.h"

enum { REQUEST_MAGIC = 0x80, RESPONSE_MAGIC = 0x81 };
enum { OP_GET = 0x00, OP_SET = 0x01, OP_GETQ = 0x09 };
enum { STATUS_OK = 0, STATUS_NOT_FOUND = 1 };

struct header {
	uint8_t magic;
	uint8_t opcode;
	uint16_t key_len;
	uint8_t extras_len;
	uint8_t data_type;
	uint16_t status;
	uint32_t body_len;
	uint32_t opaque; /* of a multiget, which item */
	uint64_t cas;
};

#define SET_EXTRAS 8
#define GET_EXTRAS 4

/* ------------------------------------------------------------ rendering */

static void copy_header(struct output *o, uint8_t opcode, uint32_t key_len,
			uint8_t extras_len, uint32_t value_size,
			uint32_t opaque)
{
	const struct header header = {
		.magic = REQUEST_MAGIC,
		.opcode = opcode,
		.key_len = htons((uint16_t)key_len),
		.extras_len = extras_len,
		.body_len = htonl(extras_len + key_len + value_size),
		.opaque = htonl(opaque),
	};

	output_copy(o, &header, sizeof(header));
}

/* All but the last are quiet: they answer only if found. */
static int render_get(struct worker *w, struct output *o,
		      const struct request *r)
{
	int rc = output_reserve(
		o, r->items * (uint32_t)(sizeof(struct header) + KEY_MAX));

	for (uint32_t i = 0; !rc && i < r->items; i++) {
		const uint8_t *key;
		uint32_t len =
			memcached_key(w->plan, request_item(w, r, i), &key);

		copy_header(o, i + 1U < r->items ? OP_GETQ : OP_GET, len, 0, 0,
			    i);
		output_copy(o, key, len);
	}
	return rc;
}

static int render_set(struct worker *w, struct output *o,
		      const struct request *r)
{
	static const uint8_t extras[SET_EXTRAS]; /* flags 0, no expiry */
	uint32_t item = request_item(w, r, 0);
	int rc = output_reserve(o, sizeof(struct header) + SET_EXTRAS +
					   KEY_MAX + COPY_MAX);
	const uint8_t *key;

	if (rc)
		return rc;
	uint32_t len = memcached_key(w->plan, item, &key);

	copy_header(o, OP_SET, len, SET_EXTRAS, w->plan->value_sizes[item], 0);
	output_copy(o, extras, SET_EXTRAS);
	output_copy(o, key, len);
	return memcached_append_value(o, w->plan, item);
}

static int binary_render(struct worker *w, struct conn *c, struct request *r)
{
	memcached_request(w, r);
	return r->kind == MEMCACHED_GET ? render_get(w, &c->output, r) :
					  render_set(w, &c->output, r);
}

/* -------------------------------------------------------------- parsing */

/* The last answer to a request has been taken. */
static void answered(struct worker *w, struct conn *c)
{
	const struct request *r = conn_oldest(c);

	if (r->kind == MEMCACHED_GET && c->parser.next < r->items)
		BUMP(w->now->misses, r->items - c->parser.next);
	c->parser.next = 0;
	worker_answered(w, c);
}

/* An answer to item nth: those before it, unanswered, were not found. */
static int find_item(struct worker *w, struct parser *p,
		     const struct request *r, uint32_t nth)
{
	if (nth < p->next || nth >= r->items)
		return -EPROTO;
	BUMP(w->now->misses, nth - p->next);
	p->next = (uint16_t)nth;
	p->item = request_item(w, r, nth);
	return 0;
}

/* The header is there: what is the body? */
static int take_header(struct worker *w, struct conn *c, const struct header *h)
{
	struct parser *p = &c->parser;
	const struct request *r = conn_oldest(c);
	uint32_t head = h->extras_len + ntohs(h->key_len),
		 body = ntohl(h->body_len);

	if (!c->in_flight || body > INT32_MAX || head > body ||
	    (r->kind == MEMCACHED_SET) != (h->opcode == OP_SET))
		return -EPROTO;
	p->status = ntohs(h->status);
	p->opcode = h->opcode;
	p->in_body = true;
	p->body_left = body;
	p->skip = p->status == STATUS_OK ? head : body;
	p->value_size = body - head;
	if (r->kind == MEMCACHED_SET)
		return 0;
	int rc = find_item(w, p, r, ntohl(h->opaque));

	if (!rc && p->status == STATUS_OK)
		memcached_value_begins(w, p);
	return rc;
}

/* An answer is complete, of which all but a value has been passed over. */
static void take_answer(struct worker *w, struct conn *c)
{
	struct parser *p = &c->parser;

	p->in_body = false;
	if (p->status == STATUS_OK && p->opcode != OP_SET) {
		memcached_value_ends(w, p);
	} else if (p->status != STATUS_OK && p->status != STATUS_NOT_FOUND) {
		worker_error(w, LOAD_SERVER);
		p->next++;
	}
	if (p->opcode != OP_GETQ)
		answered(w, c);
}

static size_t take_body(struct worker *w, struct conn *c, const uint8_t *data,
			size_t len)
{
	struct parser *p = &c->parser;
	size_t taken = len < p->body_left ? len : p->body_left;
	uint32_t skipped = taken < p->skip ? (uint32_t)taken : p->skip;

	if (skipped && p->status > STATUS_NOT_FOUND)
		worker_complaint(w, data, skipped);
	if (taken > skipped)
		memcached_value_part(w, p, data + skipped,
				     (uint32_t)(taken - skipped));
	p->skip -= skipped;
	p->body_left -= taken;
	if (!p->body_left)
		take_answer(w, c);
	return taken;
}

/* A server that has too many connections says so in text. */
static int check_magic(const struct parser *p)
{
	static const char refusal[] = "ERROR Too many open conn";

	_Static_assert(sizeof(refusal) - 1 == sizeof(struct header),
		       "compared as a header");
	if (p->line[0] == RESPONSE_MAGIC)
		return 0;
	return memcmp(p->line, refusal, p->kept) ? -EPROTO : -EUSERS;
}

static ssize_t take_head(struct worker *w, struct conn *c, const uint8_t *data,
			 size_t len)
{
	struct parser *p = &c->parser;
	size_t wanted = sizeof(struct header) - p->kept,
	       taken = len < wanted ? len : wanted;
	struct header header;

	memcpy(p->line + p->kept, data, taken);
	p->kept += (uint16_t)taken;
	if (p->kept < sizeof(header) && p->line[0] != 'E' &&
	    p->line[0] != RESPONSE_MAGIC)
		return -EPROTO;
	if (p->kept < sizeof(header))
		return (ssize_t)taken;
	int rc = check_magic(p);

	p->kept = 0;
	memcpy(&header, p->line, sizeof(header));
	if (!rc)
		rc = take_header(w, c, &header);
	if (!rc && !p->body_left)
		take_answer(w, c);
	return rc ? rc : (ssize_t)taken;
}

static int binary_parse(struct worker *w, struct conn *c, const uint8_t *data,
			size_t len)
{
	while (len) {
		ssize_t taken = c->parser.in_body ?
					(ssize_t)take_body(w, c, data, len) :
					take_head(w, c, data, len);

		if (taken < 0)
			return (int)taken;
		data += taken;
		len -= (size_t)taken;
	}
	return 0;
}

const struct protocol memcached_binary = {
	.name = "memcached-binary",
	.valid = memcached_valid,
	.reset = memcached_reset,
	.render = binary_render,
	.parse = binary_parse,
};
