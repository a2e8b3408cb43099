/* SPDX-License-Identifier: MIT */
/*
 * A server's connections: they answer requests, check what they are sent, and
 * end in every way. Every operation is written down, with memory of its own,
 * so that an event too much, too late or out of order shows.
 */
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>

#include "storm.h"

#define MOST_READS 2

/* ------------------------------------------------------- what was asked for */

static struct ask *ask_new(struct asks *lane, enum mp_command cmd, size_t size)
{
	struct ask *a = calloc(1, sizeof(*a));

	CHECK(a != NULL);
	a->cmd = cmd;
	a->size = size;
	if (size)
		CHECK((a->bytes = malloc(size)) != NULL);
	STAILQ_INSERT_TAIL(lane, a, link);
	return a;
}

/* Its memory is ours again: who still uses it is to be found out. */
static void ask_free(struct asks *lane)
{
	struct ask *a = STAILQ_FIRST(lane);

	STAILQ_REMOVE_HEAD(lane, link);
	if (a->bytes)
		memset(a->bytes, 0xdd, a->size);
	free(a->bytes);
	memset(a, 0xdd, sizeof(*a));
	free(a);
}

/* Parts for mp_readv(), mp_writev() and messages. */
static int cut(struct ask *a, struct dice *dice)
{
	size_t first = roll(dice, a->size + 1);
	size_t second = roll(dice, a->size - first + 1);

	a->iov[0] = (struct iovec){ a->bytes, first };
	a->iov[1] = (struct iovec){ a->bytes + first, second };
	a->iov[2] = (struct iovec){ a->bytes + first + second,
				    a->size - first - second };
	return 3;
}

/* ------------------------------------------------------------------- fate */

/* Both mean this connection; the client may have gone on to another. */
static bool is_ours(const struct connection *c)
{
	return c->fate && c->fate->serial == c->serial;
}

static void tear(struct connection *c)
{
	if (is_ours(c))
		c->fate->is_torn = true;
}

static void promise_end(struct connection *c)
{
	if (!is_ours(c) || c->fate->is_closed)
		return;
	c->fate->promised = c->promised;
	c->fate->consumed = c->received;
	c->fate->is_closed = true;
}

/* Who is it? By the peer's name: it may say nothing. */
static void find_fate(struct connection *c)
{
	struct address a = { .len = sizeof(a.storage) };

	if (mp_getpeername(c->h, (struct sockaddr *)&a.storage, &a.len) ||
	    a.len == sizeof(sa_family_t)) /* it has no name */
		return;
	c->fate = &shared->fates[port_of(&a)];
	c->serial = c->fate->serial;
	c->fate->accepted = c->serial;
}

/* ----------------------------------------------------------------- leaving */

static void forget(struct connection *c)
{
	while (!STAILQ_EMPTY(&c->reads))
		ask_free(&c->reads);
	while (!STAILQ_EMPTY(&c->writes))
		ask_free(&c->writes);
	LIST_REMOVE(c, link);
	c->worker->nconnections--;
	memset(c, 0xdd, sizeof(*c));
	free(c);
}

/* What is in flight is given up, and its memory is free on return. */
static void abandon(struct connection *c)
{
	tear(c);
	CHECK_IS(mp_unregister(c->h), 0);
	/* mp_close() has taken the fd */
	if (c->id < MP_LWSOCKET_BASE && !c->is_closing)
		SYS(close(c->id));
	forget(c);
}

/* What is in the way of an end by the rules is known by now, or never. */
static void close_within(struct connection *c, int64_t us)
{
	if (us > 0 || c->nwrites || c->is_partial)
		tear(c);
	c->is_bounded = true;
	CHECK_IS(mp_close_within(c->h, us), 0);
}

static void close_it(struct connection *c)
{
	struct dice *dice = &c->worker->dice;

	if (c->is_partial)
		tear(c);
	promise_end(c);
	switch (roll(dice, 6)) {
	case 0:
		close_within(c, 0);
		break;
	case 1:
		close_within(c, 1 + roll(dice, 20000));
		break;
	case 2:
		CHECK_IS(mp_close_within(c->h, -1), 0);
		break;
	default:
		CHECK_IS(mp_close(c->h), 0);
	}
	c->is_closing = true;
	ask_new(&c->writes, MP_CLOSE, 0);
	CHECK_IS(mp_recv(c->h), -EBADF);
}

static void close_by_reset(struct connection *c)
{
	struct linger hard = { .l_onoff = 1 };

	tear(c);
	mp_setsockopt(c->h, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close_it(c);
}

static void disconnect(struct connection *c)
{
	if (c->has_shut || c->is_partial)
		return;
	promise_end(c);
	c->has_shut = true;
	ask_new(&c->writes, MP_DISCONNECT, 0);
	CHECK_IS(mp_disconnect(c->h, SHUT_WR), 0);
}

void connections_forget(struct worker *w)
{
	struct connection *c;

	while ((c = LIST_FIRST(&w->connections))) {
		if (c->id < MP_LWSOCKET_BASE && !c->is_closing)
			SYS(close(c->id));
		forget(c);
	}
}

/* ---------------------------------------------------------------- watching */

static bool is_failure(ssize_t result)
{
	return plan.features & FAILURES &&
	       (result == -ENOMEM || result == -ENOBUFS || result == -ENOSPC);
}

/* For a peer that leaves while nothing is read. */
static void watch(struct connection *c)
{
	c->is_watched = true;
	CHECK_IS(mp_poll(c->h, POLLRDHUP), 0);
}

static void on_watch(struct connection *c, ssize_t result)
{
	const struct fate *f = c->fate;

	CHECK(c->is_watched);
	c->is_watched = false;
	if (result == -ECANCELED) {
		CHECK(c->is_closing || c->is_unwatched);
	} else if (result < 0) {
		CHECK(is_failure(result));
	} else {
		CHECK(result & (POLLRDHUP | POLLHUP | POLLERR));
		if (is_ours(c) && !f->is_torn && !c->has_failed &&
		    !shared->has_died)
			CHECK(f->is_left || f->has_fin);
	}
	c->is_unwatched = false;
	if (!c->is_closing && result > 0 && one_in(&c->worker->dice, 8))
		abandon(c);
}

/* ----------------------------------------------------------------- reading */

static void read_more(struct connection *c)
{
	struct dice *dice = &c->worker->dice;
	size_t size = 1 + roll(dice, 6000);
	struct ask *a;

	c->nreads++;
	switch (roll(dice, 6)) {
	case 0:
		a = ask_new(&c->reads, MP_READ, size);
		CHECK_IS(mp_read(c->h, a->bytes, size), 0);
		break;
	case 1:
		a = ask_new(&c->reads, MP_READ, size);
		CHECK_IS(mp_readv(c->h, a->iov, cut(a, dice)), 0);
		break;
	case 2:
		a = ask_new(&c->reads, MP_RECVMSG, size);
		a->msg.msg_iov = a->iov;
		a->msg.msg_iovlen = cut(a, dice);
		CHECK_IS(mp_recvmsg(c->h, &a->msg), 0);
		break;
	default:
		ask_new(&c->reads, MP_RECV, 0);
		CHECK_IS(mp_recv(c->h), 0);
	}
}

void release_held(struct worker *w, unsigned int keep)
{
	while (w->nheld > keep) {
		unsigned int i = roll(&w->dice, w->nheld);

		CHECK_IS(mp_release(w->ch, &w->held[i]), 0);
		w->held[i] = w->held[--w->nheld];
	}
}

static void hold(struct worker *w, const struct mp_event *ev)
{
	if (w->nheld == MOST_HELD)
		release_held(w, MOST_HELD / 2);
	w->held[w->nheld++] = *ev;
	if (!one_in(&w->dice, 4))
		release_held(w, w->nheld - 1);
}

/* ---------------------------------------------------------------- answering */

static void write_copy(struct connection *c, struct ask *a)
{
	CHECK_IS(mp_send(c->h, a->bytes, a->size, MP_COPY), 0);
	memset(a->bytes, 0xdd, a->size);
}

/* Nothing else may be written until it is known how much was. */
static void write_some(struct connection *c, struct ask *a)
{
	c->is_partial = true;
	CHECK_IS(mp_send(c->h, a->bytes, a->size, MP_PARTIAL), 0);
}

static void reply(struct connection *c, size_t size)
{
	struct dice *dice = &c->worker->dice;
	struct ask *a = ask_new(&c->writes, MP_WRITE, size);

	fill(a->bytes, size, c->place);
	c->place += size;
	c->nwrites++;
	switch (roll(dice, 6)) {
	case 0:
	case 1:
		CHECK_IS(mp_writev(c->h, a->iov, cut(a, dice)), 0);
		break;
	case 2:
		write_copy(c, a);
		break;
	case 3:
		if (c->nwrites == 1) {
			write_some(c, a);
			break;
		}
		/* fall through */
	default:
		CHECK_IS(mp_write(c->h, a->bytes, size), 0);
	}
}

/* What was promised, in one write or several. */
static void pay(struct connection *c)
{
	struct dice *dice = &c->worker->dice;

	while (c->place < c->promised && !c->is_partial && !c->has_failed) {
		size_t left = c->promised - c->place;

		if (left > 10 && one_in(dice, 3))
			left = 1 + roll(dice, left - 1);
		reply(c, left);
	}
}

static void answer(struct connection *c)
{
	if (c->has_shut || c->has_failed)
		return;
	c->promised += c->request.reply;
	pay(c);
}

/* After an answer. True: the connection is there no more. */
static bool leave_perhaps(struct connection *c)
{
	switch (roll(&c->worker->dice, 150)) {
	case 0:
	case 1:
	case 2:
		close_it(c);
		return false;
	case 3:
		close_by_reset(c);
		return false;
	case 4:
	case 5:
		disconnect(c);
		return false;
	case 6:
	case 7:
		abandon(c);
		return true;
	default:
		return false;
	}
}

/* Gives how many bytes it took. */
static size_t take_head(struct connection *c, const char *bytes, size_t size)
{
	size_t n = sizeof(c->head) - c->have;

	if (n > size)
		n = size;
	memcpy(c->head + c->have, bytes, n);
	c->have += n;
	if (c->have < sizeof(c->head))
		return n;
	CHECK_IS(c->request.magic, REQUEST_MAGIC);
	c->fate = &shared->fates[c->request.port];
	c->serial = c->request.serial;
	if (is_ours(c))
		c->fate->accepted = c->serial;
	c->body = c->request.body;
	return n;
}

static size_t take_body(struct connection *c, const char *bytes, size_t size)
{
	size_t n = c->body < size ? c->body : size;

	check_filled(bytes, n, c->received);
	c->body -= n;
	return n;
}

/* True: the connection is there no more. */
static bool take(struct connection *c, const char *bytes, size_t size)
{
	while (size && !c->is_closing) {
		size_t n = c->have < sizeof(c->head) ?
				   take_head(c, bytes, size) :
				   take_body(c, bytes, size);

		bytes += n;
		size -= n;
		c->received += n;
		if (c->have < sizeof(c->head) || c->body)
			continue;
		answer(c);
		c->have = 0;
		if (leave_perhaps(c))
			return true;
	}
	return false;
}

/* ------------------------------------------------------------------ events */

/* A socket that never was the client's who says so doesn't end by itself. */
static void check_end(const struct connection *c, ssize_t result)
{
	const struct fate *f = c->fate;

	if (!is_ours(c) || f->is_torn || c->has_failed || shared->has_died)
		return;
	if (!f->is_left && !f->has_fin)
		fail(__FILE__, __LINE__,
		     "a read ends with %zd, and the client hasn't", result);
	if (f->has_fin && result == 0 && is_ours(c) && c->received != f->sent)
		fail(__FILE__, __LINE__, "%llu bytes came, %llu were sent",
		     (unsigned long long)c->received,
		     (unsigned long long)f->sent);
}

static void on_end(struct connection *c, ssize_t result)
{
	check_end(c, result);
	c->has_ended = true;
	if (one_in(&c->worker->dice, 6))
		abandon(c);
	else if (one_in(&c->worker->dice, 20))
		close_by_reset(c);
	else
		close_it(c);
}

static const char *bytes_of(const struct mp_event *ev, const struct ask *a)
{
	return ev->cmd == MP_RECV ? ev->recv.data : a->bytes;
}

static void on_read(struct connection *c, const struct mp_event *ev)
{
	struct ask *a = STAILQ_FIRST(&c->reads);
	struct worker *w = c->worker;
	bool is_gone = false, is_canceled;

	CHECK(a != NULL);
	CHECK_IS(ev->cmd, a->cmd);
	STAILQ_REMOVE_HEAD(&c->reads, link);
	is_canceled = a->is_canceled;
	c->nreads--;
	if (ev->result > 0 && !c->is_closing && !c->has_ended)
		is_gone = take(c, bytes_of(ev, a), ev->result);
	if (ev->cmd == MP_RECV && ev->result > 0)
		hold(w, ev);
	free(a->bytes);
	free(a);
	if (is_gone || c->is_closing || c->has_ended)
		return;
	if (ev->result == -ECANCELED)
		CHECK(is_canceled);
	else if (ev->result == 0 || ev->result == -ECONNRESET)
		on_end(c, ev->result);
	else if (is_failure(ev->result))
		abandon(c);
	else
		CHECK(ev->result > 0);
}

static void check_written(struct connection *c, const struct ask *a,
			  ssize_t result)
{
	if (result == (ssize_t)a->size)
		return;
	if (result == -ECANCELED) {
		CHECK(c->has_failed || c->is_bounded);
	} else if (!is_failure(result)) {
		if (result != -EPIPE && result != -ECONNRESET)
			fail(__FILE__, __LINE__, "a write of %zu is %zd",
			     a->size, result);
		CHECK(!is_ours(c) || c->fate->is_left || c->fate->is_torn ||
		      shared->has_died);
	}
	c->has_failed = true;
	tear(c);
}

/* True: it was short, as it may be. */
static bool was_partial(struct connection *c, const struct ask *a,
			ssize_t result)
{
	bool is_short = c->is_partial && result > 0 &&
			result < (ssize_t)a->size;

	c->is_partial = false;
	if (is_short)
		c->place -= a->size - result;
	return is_short;
}

static void on_closed(struct connection *c, ssize_t result)
{
	CHECK(result == 0 || (result == -ETIMEDOUT && c->is_bounded));
	CHECK_IS(c->nreads, 0);
	CHECK_IS(c->nwrites, 0);
	CHECK(!c->is_watched);
}

static void on_written(struct connection *c, const struct mp_event *ev)
{
	struct ask *a = STAILQ_FIRST(&c->writes);
	bool had_failed = c->has_failed;

	CHECK(a != NULL);
	CHECK_IS(ev->cmd, a->cmd);
	if (ev->cmd == MP_WRITE) {
		c->nwrites--;
		if (!was_partial(c, a, ev->result))
			check_written(c, a, ev->result);
	} else if (ev->cmd == MP_CLOSE) {
		on_closed(c, ev->result);
	} else {
		CHECK(ev->result == 0 || ev->result == -ENOTCONN);
	}
	ask_free(&c->writes);
	if (ev->cmd == MP_CLOSE)
		forget(c);
	else if (c->has_failed && !had_failed && !c->is_closing)
		close_by_reset(c);
	else if (!c->is_closing)
		pay(c);
}

/* What has a receive in flight always must end it before it is handed over. */
static void end_reads(struct connection *c)
{
	struct ask *first = STAILQ_FIRST(&c->reads), *a;

	if (c->is_watched) {
		c->is_unwatched = true;
		CHECK_IS(mp_cancel(c->h, MP_POLL), 0);
	}
	if (!first)
		return;
	CHECK_IS(mp_cancel(c->h, first->cmd), 0);
	STAILQ_FOREACH (a, &c->reads, link)
		a->is_canceled |= a->cmd == first->cmd;
}

/* Off the channel, and on it again as an fd. */
static void hand_over(struct connection *c)
{
	int fd;

	if (c->nreads || c->is_watched || !STAILQ_EMPTY(&c->writes))
		return;
	fd = mp_lwsocket_to_fd(c->h);
	if (fd == -EBUSY || fd == -EMFILE || fd == -ENFILE)
		return;
	CHECK(fd >= 0 && fd < MP_LWSOCKET_BASE);
	c->id = fd;
	CHECK_IS(mp_register(c->worker->ch, fd, c, NULL, &c->h), 0);
}

static void go_on_reading(struct connection *c)
{
	struct dice *dice = &c->worker->dice;

	if (plan.features & HANDOVERS && one_in(dice, 4))
		hand_over(c);
	while (c->nreads < 1 + roll(dice, MOST_READS))
		read_more(c);
}

void on_connection(struct connection *c, const struct mp_event *ev)
{
	struct worker *w = c->worker;
	unsigned int before = w->nconnections;

	CHECK(c->h == ev->handle);
	if (ev->cmd == MP_POLL)
		on_watch(c, ev->result);
	else if (ev->cmd == MP_READ || ev->cmd == MP_RECV ||
		 ev->cmd == MP_RECVMSG)
		on_read(c, ev);
	else
		on_written(c, ev);
	if (w->nconnections < before || c->is_closing)
		return;
	if (!c->nreads)
		go_on_reading(c);
	else if (plan.features & HANDOVERS && one_in(&w->dice, 20))
		end_reads(c);
	if (!c->is_watched && one_in(&w->dice, 20))
		watch(c);
}

void connection_begin(struct worker *w, int id)
{
	struct connection *c = calloc(1, sizeof(*c));

	CHECK(c != NULL);
	c->what = CONNECTION;
	c->worker = w;
	c->id = id;
	STAILQ_INIT(&c->reads);
	STAILQ_INIT(&c->writes);
	LIST_INSERT_HEAD(&w->connections, c, link);
	w->nconnections++;
	CHECK_IS(mp_register(w->ch, id, c, NULL, &c->h), 0);
	find_fate(c);
	if (one_in(&w->dice, 60))
		abandon(c);
	else if (one_in(&w->dice, 60))
		close_it(c);
	else
		go_on_reading(c);
}
