/* SPDX-License-Identifier: MIT */
/*
 * A connection that a server asks for, to a listening socket of the storm: what
 * mp_connect() has to do with full queues, and leaving in the midst of it.
 */
#include "storm.h"

struct probe {
	enum what what;
	struct worker *worker;
	struct mp_handle *h;
	int fd;
	unsigned int listener;
	struct fate *fate;
	uint32_t serial;
	struct request request;
	uint64_t received;
	bool is_connected;
	bool is_written;
	bool is_closing;
	bool is_over;
};

static void forget(struct probe *p)
{
	p->worker->probe = NULL;
	memset(p, 0xdd, sizeof(*p));
	free(p);
}

static void leave(struct probe *p)
{
	p->fate->is_left = true;
	CHECK_IS(mp_unregister(p->h), 0);
	if (!p->is_closing)
		SYS(close(p->fd));
	forget(p);
}

static void close_it(struct probe *p)
{
	p->fate->is_left = true;
	p->is_closing = true;
	CHECK_IS(mp_close(p->h), 0);
}

/* At any time: while it connects, writes or closes. */
static bool leaves_perhaps(struct probe *p)
{
	if (!one_in(&p->worker->dice, 8))
		return false;
	leave(p);
	return true;
}

void probe_begin(struct worker *w)
{
	struct probe *p = calloc(1, sizeof(*p));
	unsigned int port;
	struct address a;

	CHECK(p != NULL);
	p->what = PROBE;
	p->worker = w;
	p->listener = roll(&w->dice, plan.listeners);
	p->fd = new_client(plan.families[p->listener], &port, &p->serial);
	if (p->fd < 0) {
		CHECK(plan.features & FEW_FDS);
		free(p);
		return;
	}
	p->fate = &shared->fates[port];
	p->request = (struct request){ .magic = REQUEST_MAGIC,
				       .serial = p->serial,
				       .port = port,
				       .reply = 1 + roll(&w->dice, 3000) };
	w->probe = p;
	a = address_of(listener_fds[p->listener]);
	CHECK_IS(mp_register(w->ch, p->fd, p, NULL, &p->h), 0);
	CHECK_IS(mp_connect(p->h, (struct sockaddr *)&a.storage, a.len), 0);
	CHECK_IS(mp_write(p->h, &p->request, sizeof(p->request)), 0);
	CHECK_IS(mp_recv(p->h), 0);
	leaves_perhaps(p);
}

/* For a reason, or by a fault: it isn't looked at too closely here. */
static void on_end(struct probe *p, const struct mp_event *ev)
{
	const struct fate *f = p->fate;

	if (!f->is_torn && !f->is_closed && !shared->has_died &&
	    !(plan.features & (REOPENS | FAILURES)) &&
	    plan.backlogs[p->listener] > (int)plan.clients + 6)
		fail(__FILE__, __LINE__, "%s of a probe ends with %zd",
		     command_name(ev->cmd), ev->result);
	p->is_over = true;
	if (!p->is_closing && one_in(&p->worker->dice, 2))
		close_it(p);
}

static void on_received(struct probe *p, const struct mp_event *ev)
{
	if (ev->result <= 0) {
		if (!p->is_closing)
			on_end(p, ev);
		return;
	}
	check_filled(ev->recv.data, ev->result, p->received);
	p->received += ev->result;
	CHECK_IS(mp_release(p->worker->ch, ev), 0);
	if (p->is_closing)
		return;
	CHECK(p->received <= p->request.reply);
	if (p->received == p->request.reply)
		close_it(p);
	else
		CHECK_IS(mp_recv(p->h), 0);
}

void on_probe(struct probe *p, const struct mp_event *ev)
{
	CHECK(p->h == ev->handle);
	switch (ev->cmd) {
	case MP_CONNECT:
		CHECK(!p->is_connected);
		p->is_connected = true;
		break;
	case MP_WRITE:
		CHECK(p->is_connected && !p->is_written);
		p->is_written = true;
		break;
	case MP_RECV:
		CHECK(p->is_connected || p->is_closing);
		on_received(p, ev);
		break;
	default:
		CHECK_IS(ev->cmd, MP_CLOSE);
		CHECK(p->is_connected && p->is_written && p->is_closing);
		forget(p);
		return;
	}
	if (ev->cmd != MP_RECV && ev->result < 0 && !p->is_closing &&
	    !p->is_over)
		on_end(p, ev);
	if (p->is_over && !p->is_closing && p->is_written)
		leave(p);
	else
		leaves_perhaps(p);
}

void probe_end(struct worker *w)
{
	if (w->probe)
		leave(w->probe);
}

void probe_forget(struct worker *w)
{
	if (!w->probe)
		return;
	if (!w->probe->is_closing)
		SYS(close(w->probe->fd));
	forget(w->probe);
}
