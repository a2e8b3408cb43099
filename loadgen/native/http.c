/* SPDX-License-Identifier: MIT */
/* HTTP/1.1: whole requests are sent as planned; llhttp takes the answers. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <zlib.h>

#include "worker.h"

#define COPY_MAX 4096	     /* larger bodies are not copied, but pointed to */
#define HEAD_MAX 65536U	     /* bytes of an answer's head */
#define INFORMATIONAL_MAX 64 /* 1xx answers before the answer */
#define BLANK_LINE 2

static const char close_header[] = "Connection: close\r\n\r\n";

/* ------------------------------------------------------------ rendering */

static const struct load_answer *answer_of(const struct worker *w,
					   const struct request *r)
{
	return &w->plan->answers[request_item(w, r, 0)];
}

static int append_body(struct output *o, const struct load_plan *plan)
{
	if (plan->body_len > COPY_MAX)
		return output_reference(o, plan->body, plan->body_len);
	output_copy(o, plan->body, plan->body_len);
	return 0;
}

static int http_render(struct worker *w, struct conn *c, struct request *r)
{
	const struct load_plan *plan = w->plan;
	struct output *o = &c->output;
	uint32_t item = request_item(w, r, 0);
	const uint8_t *head = plan->keys + plan->key_offsets[item];
	uint32_t len = plan->key_offsets[item + 1] - plan->key_offsets[item];
	int rc = output_reserve(o, len + sizeof(close_header) + COPY_MAX);

	if (rc)
		return rc;
	r->items = 1;
	r->kind = 0;
	if (plan->announce_close && c->left == 1) {
		output_copy(o, head, len - BLANK_LINE);
		output_copy(o, close_header, sizeof(close_header) - 1);
	} else {
		output_copy(o, head, len);
	}
	if (plan->answers[item].flags & LOAD_SENDS_BODY)
		rc = append_body(o, plan);
	return rc;
}

/* ------------------------------------------------------------- checking */

/* Bytes of a body against the pattern, which goes round and round. */
static bool matches(const struct load_plan *plan, uint64_t at, const char *data,
		    size_t len)
{
	uint32_t period = plan->pattern_len - LOAD_PATTERN_RUN;

	while (len) {
		size_t n = len < LOAD_PATTERN_RUN ? len : LOAD_PATTERN_RUN;

		if (memcmp(data, plan->pattern + at % period, n))
			return false;
		at += n;
		data += n;
		len -= n;
	}
	return true;
}

static void check_part(struct worker *w, struct http_parser *h,
		       const struct load_answer *expected, const char *data,
		       size_t len)
{
	if (expected->check == LOAD_CHECK_PATTERN && !h->wrong)
		h->wrong = !matches(w->plan, expected->content + h->body_done,
				    data, len);
	else if (expected->check == LOAD_CHECK_CRC32)
		h->crc =
			(uint32_t)crc32(h->crc, (const Bytef *)data, (uInt)len);
}

/* "GET /path: status 404", the path cut where it is long. */
static void complain(struct worker *w, struct conn *c, const char *what,
		     unsigned long long n)
{
	const struct load_plan *plan = w->plan;
	uint32_t item = request_item(w, conn_oldest(c), 0);
	const uint8_t *head = plan->keys + plan->key_offsets[item];
	uint32_t len = plan->key_offsets[item + 1] - plan->key_offsets[item];
	const uint8_t *end = memmem(head, len, " HTTP/", 6);
	int shown = end && end - head < 60 ? (int)(end - head) : 60;
	char text[128];

	snprintf(text, sizeof(text), "%.*s: %s %llu",
		 len < 60 && !end ? (int)len : shown, (const char *)head, what,
		 n);
	worker_complaint(w, (const uint8_t *)text, strlen(text));
}

/* What is wrong with a whole answer? NULL: nothing. */
static const char *find_fault(const struct http_parser *h,
			      const struct load_answer *expected,
			      unsigned long long *n)
{
	bool length_known = expected->length != LOAD_ANY_LENGTH &&
			    !(expected->flags & LOAD_IS_HEAD);

	*n = h->llhttp.status_code;
	if (expected->status && *n != expected->status)
		return "status";
	*n = h->body_done;
	if (length_known && *n != expected->length)
		return "length of the body";
	*n = h->crc;
	if (expected->check == LOAD_CHECK_CRC32 && *n != expected->content)
		return "CRC-32 of the body";
	*n = h->body_done;
	return h->wrong ? "wrong content in a body of length" : NULL;
}

static bool is_checked(const struct load_answer *expected)
{
	return expected->status || expected->check ||
	       expected->length != LOAD_ANY_LENGTH;
}

static void check_answer(struct worker *w, struct conn *c)
{
	struct http_parser *h = &c->http;
	const struct load_answer *expected = answer_of(w, conn_oldest(c));
	unsigned int status = h->llhttp.status_code;
	unsigned long long n;
	const char *fault;

	if (w->plan->verify && is_checked(expected)) {
		fault = find_fault(h, expected, &n);
		if (!fault) {
			BUMP(w->now->verified, 1);
			return;
		}
		complain(w, c, fault, n);
		worker_error(w, LOAD_VERIFICATION);
	} else if (status >= 400) {
		complain(w, c, "status", status);
		worker_error(w, LOAD_SERVER);
	}
}

/* -------------------------------------------------------------- parsing */

/* In a callback: llhttp would forget the reason. */
static int fail(struct http_parser *h, const char *reason)
{
	h->reason = reason;
	return HPE_USER;
}

static bool is_informational(const llhttp_t *parser)
{
	return parser->status_code / 100 == 1 && parser->status_code != 101;
}

static int on_message_begin(llhttp_t *parser)
{
	struct conn *c = parser->data;
	struct http_parser *h = &c->http;

	if (!c->in_flight)
		return fail(h, "an answer that nobody asked for");
	h->in_head = true;
	h->head_bytes = 0;
	if (!h->begun)
		worker_first_byte(c->worker, c);
	h->begun = true;
	return 0;
}

/* 1: no body follows, whatever length the head says. */
static int on_headers_complete(llhttp_t *parser)
{
	struct conn *c = parser->data;
	unsigned int status = parser->status_code;

	c->http.in_head = false;
	if (status / 100 == 1 || status == 204 || status == 304)
		return 1;
	return answer_of(c->worker, conn_oldest(c))->flags & LOAD_IS_HEAD;
}

static int on_body(llhttp_t *parser, const char *data, size_t len)
{
	struct conn *c = parser->data;
	struct worker *w = c->worker;

	if (w->plan->verify)
		check_part(w, &c->http, answer_of(w, conn_oldest(c)), data,
			   len);
	c->http.body_done += len;
	BUMP(w->now->body_bytes, len);
	return 0;
}

/* The next answer begins. */
static void begin_answer(struct http_parser *h)
{
	h->body_done = 0;
	h->crc = 0;
	h->informational = 0;
	h->begun = false;
	h->wrong = false;
}

/* HPE_PAUSED: what follows is not looked at. */
static int on_message_complete(llhttp_t *parser)
{
	struct conn *c = parser->data;
	struct worker *w = c->worker;
	struct http_parser *h = &c->http;
	uint32_t status = parser->status_code - LOAD_STATUS_FIRST;

	if (is_informational(parser)) {
		if (++h->informational > INFORMATIONAL_MAX)
			return fail(h, "more than 64 answers of 1xx");
		return 0;
	}
	if (status >= LOAD_STATUSES)
		return fail(h, "a status that isn't from 100 to 599");
	BUMP(w->now->statuses[status], 1);
	check_answer(w, c);
	begin_answer(h);
	worker_answered(w, c);
	h->last = parser->upgrade || !llhttp_should_keep_alive(parser);
	return h->last ? HPE_PAUSED : 0;
}

static const llhttp_settings_t settings = {
	.on_message_begin = on_message_begin,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

static void http_reset(struct conn *c)
{
	struct http_parser *h = &c->http;

	llhttp_init(&h->llhttp, HTTP_RESPONSE, &settings);
	h->llhttp.data = c;
	h->head_bytes = 0;
	h->in_head = false;
	h->last = false;
	h->reason = NULL;
	begin_answer(h);
}

static int refuse(struct worker *w, const char *reason)
{
	char text[128];

	snprintf(text, sizeof(text), "not an answer of HTTP: %s", reason);
	worker_complaint(w, (const uint8_t *)text, strlen(text));
	return -EPROTO;
}

static int http_parse(struct worker *w, struct conn *c, const uint8_t *data,
		      size_t len)
{
	struct http_parser *h = &c->http;
	bool was_in_head = h->in_head;
	enum llhttp_errno error =
		llhttp_execute(&h->llhttp, (const char *)data, len);

	if (h->last)
		return -ESHUTDOWN;
	if (error)
		return refuse(w, h->reason ?
					 h->reason :
					 llhttp_get_error_reason(&h->llhttp));
	if (was_in_head && h->in_head)
		h->head_bytes += (uint32_t)len;
	return h->head_bytes > HEAD_MAX ? refuse(w, "a head over 64 KiB") : 0;
}

/*
 * The connection has ended: that may be what ends an answer, and is no fault
 * of a server if nothing was asked of it.
 */
static bool http_end(struct worker *w, struct conn *c)
{
	struct http_parser *h = &c->http;

	(void)w;
	if (h->begun)
		llhttp_finish(&h->llhttp);
	return h->last || (!c->in_flight && c->answered);
}

/* ------------------------------------------------------------- the plan */

static bool http_valid(const struct load_plan *plan)
{
	bool pattern = plan->pattern_len > LOAD_PATTERN_RUN;

	for (uint32_t i = 0; i < plan->n_items; i++) {
		const struct load_answer *answer = &plan->answers[i];

		if (plan->key_offsets[i + 1] - plan->key_offsets[i] <
			    BLANK_LINE ||
		    (answer->check == LOAD_CHECK_PATTERN && !pattern))
			return false;
	}
	return plan->multiget == 1;
}

const struct protocol http = {
	.name = "http",
	.valid = http_valid,
	.reset = http_reset,
	.render = http_render,
	.parse = http_parse,
	.end = http_end,
};
