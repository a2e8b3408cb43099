/* SPDX-License-Identifier: MIT */
/* memcached's text protocol: protocol.txt of its sources. */
#include <errno.h>
#include <string.h>

#include "memcached.h"

#define SET_WORDS 32 /* "set", " 0 0 ", the size, two line ends */
#define VALUE_WORD 6 /* "VALUE " */

/* ------------------------------------------------------------ rendering */

static int render_get(struct worker *w, struct output *o,
		      const struct request *r)
{
	int rc = output_reserve(o, 5 + r->items * (KEY_MAX + 1U));

	if (rc)
		return rc;
	output_copy(o, "get", 3);
	for (uint32_t i = 0; i < r->items; i++) {
		const uint8_t *key;
		uint32_t len =
			memcached_key(w->plan, request_item(w, r, i), &key);

		output_copy(o, " ", 1);
		output_copy(o, key, len);
	}
	output_copy(o, "\r\n", 2);
	return 0;
}

static void copy_number(struct output *o, uint32_t n)
{
	char digits[10];
	uint32_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + n % 10);
	while (n /= 10);
	output_copy(o, digits + at, (uint32_t)sizeof(digits) - at);
}

static int render_set(struct worker *w, struct output *o,
		      const struct request *r)
{
	uint32_t item = request_item(w, r, 0);
	int rc = output_reserve(o, SET_WORDS + KEY_MAX + COPY_MAX);
	const uint8_t *key;

	if (rc)
		return rc;
	uint32_t len = memcached_key(w->plan, item, &key);

	output_copy(o, "set ", 4);
	output_copy(o, key, len);
	output_copy(o, " 0 0 ", 5);
	copy_number(o, w->plan->value_sizes[item]);
	output_copy(o, "\r\n", 2);
	rc = memcached_append_value(o, w->plan, item);
	if (!rc)
		output_copy(o, "\r\n", 2);
	return rc;
}

static int ascii_render(struct worker *w, struct conn *c, struct request *r)
{
	memcached_request(w, r);
	return r->kind == MEMCACHED_GET ? render_get(w, &c->output, r) :
					  render_set(w, &c->output, r);
}

/* -------------------------------------------------------------- parsing */

static bool line_is(const uint8_t *line, size_t len, const char *word)
{
	return len == strlen(word) && !memcmp(line, word, len);
}

static bool line_begins(const uint8_t *line, size_t len, const char *word)
{
	return len >= strlen(word) && !memcmp(line, word, strlen(word));
}

/* A number at *at, which is moved behind it and the blank after it. */
static bool take_number(const uint8_t **at, const uint8_t *end, uint64_t *n)
{
	const uint8_t *p = *at;

	for (*n = 0; p < end && *p >= '0' && *p <= '9' && p - *at < 10; p++)
		*n = *n * 10 + (uint64_t)(*p - '0');
	if (p == *at || (p < end && *p++ != ' '))
		return false;
	*at = p;
	return true;
}

/*
 * Which of the request's items is it? Those passed over were not found. A key
 * that wasn't asked for is taken for the next one's wrong answer.
 */
static void find_item(struct worker *w, struct parser *p,
		      const struct request *r, const uint8_t *key, size_t len)
{
	for (uint32_t i = p->next; i < r->items; i++) {
		const uint8_t *expected;
		uint32_t item = request_item(w, r, i);

		if (memcached_key(w->plan, item, &expected) != len ||
		    memcmp(key, expected, len))
			continue;
		BUMP(w->now->misses, i - p->next);
		p->next = (uint16_t)i;
		p->item = item;
		return;
	}
	p->item = request_item(w, r, p->next);
	p->wrong = true;
}

/* VALUE <key> <flags> <bytes> */
static int value_line(struct worker *w, struct parser *p,
		      const struct request *r, const uint8_t *line, size_t len)
{
	const uint8_t *end = line + len, *key = line + VALUE_WORD;
	const uint8_t *blank = memchr(key, ' ', len - VALUE_WORD);
	const uint8_t *at = blank ? blank + 1 : NULL;
	uint64_t flags, size;

	if (!blank || p->next >= r->items || !take_number(&at, end, &flags) ||
	    !take_number(&at, end, &size) || at != end || size > INT32_MAX)
		return -EPROTO;
	find_item(w, p, r, key, (size_t)(blank - key));
	p->value_size = (uint32_t)size;
	p->body_left = size + 2;
	memcached_value_begins(w, p);
	return 0;
}

static void answered(struct worker *w, struct conn *c)
{
	c->parser.next = 0;
	worker_answered(w, c);
}

/* SERVER_ERROR answers the request; after other errors nothing is certain. */
static int error_line(struct worker *w, struct conn *c, const uint8_t *line,
		      size_t len)
{
	worker_complaint(w, line, len);
	if (!line_begins(line, len, "SERVER_ERROR") &&
	    !line_is(line, len, "NOT_STORED"))
		return -EPROTO;
	worker_error(w, LOAD_SERVER);
	answered(w, c);
	return 0;
}

static int get_line(struct worker *w, struct conn *c, const uint8_t *line,
		    size_t len)
{
	const struct request *r = conn_oldest(c);

	if (line_begins(line, len, "VALUE "))
		return value_line(w, &c->parser, r, line, len);
	if (!line_is(line, len, "END"))
		return error_line(w, c, line, len);
	BUMP(w->now->misses, r->items - c->parser.next);
	answered(w, c);
	return 0;
}

static int take_line(struct worker *w, struct conn *c, const uint8_t *line,
		     size_t len)
{
	if (!len || line[--len] != '\r')
		return -EPROTO;
	if (memcached_is_refusal(line, len))
		return -EUSERS;
	if (!c->in_flight)
		return -EPROTO;
	if (conn_oldest(c)->kind == MEMCACHED_GET)
		return get_line(w, c, line, len);
	if (!line_is(line, len, "STORED"))
		return error_line(w, c, line, len);
	answered(w, c);
	return 0;
}

/* The value, then its line end. Returns how much was taken, or -errno. */
static ssize_t take_body(struct worker *w, struct parser *p,
			 const uint8_t *data, size_t len)
{
	size_t taken = 0;

	if (p->body_left > 2) {
		taken = len < p->body_left - 2 ? len : p->body_left - 2;
		memcached_value_part(w, p, data, (uint32_t)taken);
		p->body_left -= taken;
	}
	for (; p->body_left && p->body_left <= 2 && taken < len; p->body_left--)
		if (data[taken++] != "\r\n"[2 - p->body_left])
			return -EPROTO;
	if (!p->body_left)
		memcached_value_ends(w, p);
	return (ssize_t)taken;
}

/* Keep a part of a line until the rest comes. */
static int keep(struct parser *p, const uint8_t *data, size_t len)
{
	if (len > sizeof(p->line) - p->kept)
		return -EPROTO;
	memcpy(p->line + p->kept, data, len);
	p->kept += (uint16_t)len;
	return 0;
}

static ssize_t take_text(struct worker *w, struct conn *c, const uint8_t *data,
			 size_t len)
{
	struct parser *p = &c->parser;
	const uint8_t *end = memchr(data, '\n', len);
	size_t taken = end ? (size_t)(end - data) + 1 : len;
	int rc;

	if (end && !p->kept) {
		rc = take_line(w, c, data, taken - 1);
	} else {
		rc = keep(p, data, taken);
		if (!rc && end) {
			size_t kept = p->kept - 1U;

			p->kept = 0;
			rc = take_line(w, c, p->line, kept);
		}
	}
	return rc ? rc : (ssize_t)taken;
}

static int ascii_parse(struct worker *w, struct conn *c, const uint8_t *data,
		       size_t len)
{
	while (len) {
		ssize_t taken = c->parser.body_left ?
					take_body(w, &c->parser, data, len) :
					take_text(w, c, data, len);

		if (taken < 0)
			return (int)taken;
		data += taken;
		len -= (size_t)taken;
	}
	return 0;
}

const struct protocol memcached_ascii = {
	.name = "memcached-ascii",
	.valid = memcached_valid,
	.reset = memcached_reset,
	.render = ascii_render,
	.parse = ascii_parse,
};
