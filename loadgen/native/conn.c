/* SPDX-License-Identifier: MIT */
/* The life of a connection: connect, so many requests, close, and again. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "worker.h"

#define BACKOFF_NS 10000000ULL
#define UNLIMITED UINT32_MAX
#define SEGMENTS_PER_WRITE 1000 /* below IOV_MAX */

/* Is there a connection left to be made? */
static bool has_connection(const struct conn *c)
{
	const struct load_plan *plan = c->worker->plan;

	return !plan->once || c->left || c->worker->next_limit < plan->n_limits;
}

/* What the connection is to do. One that ended early goes on. */
static void next_connection(struct conn *c)
{
	struct worker *w = c->worker;
	const struct load_plan *plan = w->plan;

	if (plan->n_starts && c->left)
		return;
	uint32_t number = w->next_limit;

	c->left = plan->limits[number] ? plan->limits[number] : UNLIMITED;
	if (plan->n_starts)
		c->position = plan->starts[number];
	w->next_limit += plan->threads;
	if (w->next_limit >= plan->n_limits && !plan->once)
		w->next_limit = w->index % plan->n_limits;
}

/* A socket that closes as the plan wants it. */
static int conn_socket(struct worker *w)
{
	const struct load_plan *plan = w->plan;
	const struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	int family = plan->address.ss_family, on = 1;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (plan->reset_close)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (family != AF_UNIX && w->no_delay)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void conn_drop(struct conn *c)
{
	if (c->state == CONN_OPEN)
		BUMP(c->worker->open, -1U);
	mp_unregister(c->handle);
	close(c->fd);
	c->handle = NULL;
}

static void conn_wait(struct conn *c)
{
	c->state = CONN_WAITING;
	c->active_ns = c->worker->now_ns + BACKOFF_NS;
}

static enum load_error error_kind(const struct conn *c, int error)
{
	switch (error) {
	case 0:
	case -EPIPE:
		return LOAD_RESET;
	case -ECONNRESET:
		return c->state == CONN_CONNECTING ? LOAD_CONNECT : LOAD_RESET;
	case -EADDRNOTAVAIL:
		return LOAD_PORTS;
	default:
		return c->state == CONN_CONNECTING ? LOAD_CONNECT : LOAD_OTHER;
	}
}

/*
 * Give the connection up, and what was in flight on it. One that never
 * answered isn't tried again at once.
 */
void conn_fail(struct conn *c, enum load_error kind)
{
	struct worker *w = c->worker;
	bool again = c->answered && kind != LOAD_REFUSED;

	worker_error(w, kind);
	conn_drop(c);
	BUMP(w->now->failed, c->in_flight);
	w->in_flight -= c->in_flight;
	c->in_flight = 0;
	c->writing = false;
	if (again)
		conn_open(c);
	else
		conn_wait(c);
}

static void conn_fail_errno(struct conn *c, int error)
{
	enum load_error kind = error_kind(c, error);

	worker_errno(c->worker, error, c->state == CONN_CONNECTING);
	conn_fail(c, kind);
}

static void conn_reset(struct conn *c)
{
	next_connection(c);
	c->state = CONN_CONNECTING;
	c->writing = false;
	c->answered = false;
	c->broken = false;
	c->head = 0;
	c->in_flight = 0;
	c->active_ns = c->worker->now_ns;
	c->opened_ns = c->active_ns;
	output_clear(&c->output);
	c->worker->protocol->reset(c);
}

/* Connect, and in a closed loop queue the first requests right behind. */
void conn_open(struct conn *c)
{
	struct worker *w = c->worker;

	if (pace_exhausted(w) || !has_connection(c)) {
		c->state = CONN_RETIRED;
		return;
	}
	conn_reset(c);
	int rc = c->fd = conn_socket(w);

	if (rc >= 0) {
		rc = mp_register(w->ch, c->fd, c, NULL, &c->handle);
		if (rc)
			close(c->fd);
	}
	if (rc < 0) {
		worker_errno(w, rc, false);
		worker_error(w, LOAD_OTHER);
		conn_wait(c);
		return;
	}
	rc = mp_connect(c->handle, (const struct sockaddr *)&w->plan->address,
			w->plan->address_len);
	if (rc)
		conn_fail_errno(c, rc);
	else if ((w->open_loop || conn_pump(c)) && (rc = mp_recv(c->handle)))
		conn_fail_errno(c, rc);
}

static void conn_close(struct conn *c)
{
	struct worker *w = c->worker;

	if (mp_close(c->handle)) {
		conn_drop(c);
		return;
	}
	w->closing++;
	BUMP(w->open, -1U);
	c->handle = NULL;
}

bool conn_can_send(const struct conn *c)
{
	return c->state == CONN_OPEN && !c->writing && !c->broken && c->left &&
	       c->in_flight < c->worker->plan->pipeline;
}

/* The walk through the sequence: the connection's own, or its thread's. */
static uint32_t *conn_position(struct conn *c)
{
	return c->worker->plan->n_starts ? &c->position : &c->worker->position;
}

static int conn_render(struct conn *c, uint64_t intended_ns)
{
	struct worker *w = c->worker;
	struct request *r =
		&c->requests[(c->head + c->in_flight) & w->pipeline_mask];

	r->intended_ns = intended_ns;
	r->sent_ns = w->now_ns;
	uint32_t *position = conn_position(c);

	r->position = *position;
	int rc = w->protocol->render(w, c, r);

	if (rc)
		return rc;
	*position += r->items;
	if (*position >= w->plan->sequence_len)
		*position %= w->plan->sequence_len;
	if (!c->in_flight++)
		c->active_ns = w->now_ns;
	w->in_flight++;
	w->allowance--;
	if (c->left != UNLIMITED)
		c->left--;
	BUMP(w->now->sent, 1);
	return 0;
}

/* False: the connection was given up. */
static bool conn_write(struct conn *c)
{
	struct output *o = &c->output;
	uint32_t n = output_finish(o);
	int rc = n ? mp_writev(c->handle, o->segments, (int)n) :
		     mp_write(c->handle, o->buf, o->used);

	c->writing = true;
	if (rc)
		conn_fail_errno(c, rc);
	return !rc;
}

/* Open loop: send one request. */
bool conn_send(struct conn *c, uint64_t intended_ns)
{
	int rc = conn_render(c, intended_ns);

	if (rc)
		conn_fail_errno(c, rc);
	return !rc && conn_write(c);
}

/* Closed loop: fill the pipeline. False: the connection was given up. */
bool conn_pump(struct conn *c)
{
	struct worker *w = c->worker;
	int rc = 0;

	while (!rc && c->left && c->in_flight < w->plan->pipeline &&
	       c->output.n_segments < SEGMENTS_PER_WRITE && !pace_exhausted(w))
		rc = conn_render(c, w->now_ns);
	if (rc)
		conn_fail_errno(c, rc);
	else if (c->output.used || c->output.n_segments)
		return conn_write(c);
	return !rc;
}

/* Something has moved: send more, or begin anew. False: this connection is
 * over. */
static bool conn_next(struct conn *c)
{
	if (c->writing || c->broken || c->state != CONN_OPEN)
		return true;
	if (!c->left && !c->in_flight) {
		conn_close(c);
		conn_open(c);
		return false;
	}
	if (!c->worker->open_loop)
		return conn_pump(c);
	pace_offer(c);
	return true;
}

static void conn_connected(struct conn *c, int result)
{
	struct worker *w = c->worker;

	if (result < 0) {
		conn_fail_errno(c, result);
		return;
	}
	c->state = CONN_OPEN;
	c->active_ns = w->now_ns;
	BUMP(w->open, 1);
	BUMP(w->now->connections, 1);
	worker_connected(w, c);
	conn_next(c);
}

/*
 * A write that failed isn't the last word: what the server said before it
 * closed may still be received, and that ends the connection.
 */
static void conn_written(struct conn *c, ssize_t result)
{
	c->writing = false;
	output_clear(&c->output);
	if (result < 0) {
		c->broken = true;
		return;
	}
	BUMP(c->worker->now->bytes_sent, (uint64_t)result);
	if (c->in_flight == c->worker->plan->pipeline)
		return;
	worker_clock(c->worker);
	conn_next(c);
}

/*
 * The server ends the connection, and may: it said so in an answer, or the
 * connection was idle. Memory that is being written is wanted back at once.
 */
static void conn_ended(struct conn *c)
{
	if (c->in_flight) {
		conn_fail(c, LOAD_CLOSED);
		return;
	}
	if (c->writing)
		conn_drop(c);
	else
		conn_close(c);
	conn_open(c);
}

static void conn_received(struct conn *c, const struct mp_event *ev)
{
	struct worker *w = c->worker;

	if (!ev->result && w->protocol->end && w->protocol->end(w, c)) {
		conn_ended(c);
		return;
	}
	if (ev->result <= 0) {
		conn_fail_errno(c, (int)ev->result);
		return;
	}
	c->active_ns = w->now_ns;
	BUMP(w->now->bytes_received, (uint64_t)ev->result);
	int rc = w->protocol->parse(w, c, ev->recv.data, (size_t)ev->result);

	mp_release(w->ch, ev);
	if (rc == -ESHUTDOWN)
		conn_ended(c);
	else if (rc)
		conn_fail(c, rc == -EUSERS ? LOAD_REFUSED : LOAD_PROTOCOL);
	else if (conn_next(c) && (rc = mp_recv(c->handle)))
		conn_fail_errno(c, rc);
}

void conn_event(struct conn *c, const struct mp_event *ev)
{
	struct worker *w = c->worker;

	if (ev->handle != c->handle) { /* of a connection that was closed */
		w->closing -= ev->cmd == MP_CLOSE;
		if (ev->cmd == MP_RECV && ev->result > 0)
			mp_release(w->ch, ev);
		return;
	}
	switch (ev->cmd) {
	case MP_CONNECT:
		conn_connected(c, (int)ev->result);
		break;
	case MP_WRITE:
		conn_written(c, ev->result);
		break;
	case MP_RECV:
		conn_received(c, ev);
		break;
	default:
		break;
	}
}

/* Connections that wait for their next try, and those that are stuck. */
void conn_sweep(struct worker *w)
{
	for (uint32_t i = 0; i < w->n_conns; i++) {
		struct conn *c = &w->conns[i];
		bool busy = c->state == CONN_CONNECTING ||
			    (c->state == CONN_OPEN && c->in_flight);

		if (c->state == CONN_WAITING && w->now_ns >= c->active_ns)
			conn_open(c);
		else if (busy && w->now_ns > c->active_ns + w->plan->timeout_ns)
			conn_fail(c, LOAD_TIMEOUT);
	}
}

/* The end: close without ceremony. */
void conn_end(struct conn *c)
{
	if (!c->handle)
		return;
	BUMP(c->worker->now->failed, c->in_flight);
	conn_drop(c);
}
