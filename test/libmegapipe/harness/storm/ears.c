/* SPDX-License-Identifier: MIT */
/* A server's listening handles: opened, asked, stopped and closed again. */
#include <fcntl.h>

#include "storm.h"

/* -------------------------------------------------------------- beginning */

/* The CPUs of worker n of so many; none: there are more workers than CPUs. */
static bool mask_of(unsigned int number, cpu_set_t *mask)
{
	int cpus[64], count = allowed_cpus(cpus, 64);
	int workers = (int)plan.workers < count ? (int)plan.workers : count;

	CPU_ZERO(mask);
	for (int i = 0; i < count && (int)number < workers; i++)
		if (i % workers == (int)number)
			CPU_SET(cpus[i], mask);
	return CPU_COUNT(mask) > 0;
}

/* Also what made faults bring. */
static bool is_scarce(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM ||
	       error == -ENOBUFS || error == -ENOSPC;
}

/* It can't be found out whether there is any. */
static bool is_steering_disturbed(int error)
{
	return plan.features & FAULTS &&
	       (error == -EINTR || error == -ECONNABORTED);
}

static int register_ear(struct ear *e, int fd)
{
	cpu_set_t mask;

	e->is_partitioned = plan.features & PARTITIONS &&
			    plan.families[e->number] == AF_INET &&
			    one_in(&e->worker->dice, 2) &&
			    mask_of(e->worker->number, &mask);
	return mp_register(e->worker->ch, fd, e,
			   e->is_partitioned ? &mask : NULL, &e->h);
}

static void want(struct ear *e)
{
	struct dice *dice = &e->worker->dice;
	uint32_t count = MP_ACCEPT_ALL;

	if (plan.features & PAUSES && one_in(dice, 2))
		count = 1 + roll(dice, 5);
	e->is_stopped = false;
	e->wanted = count;
	CHECK_IS(mp_accept(e->h, count, e->is_lwsocket), 0);
}

/* On failure for scarcity it is tried again later. */
void open_ear(struct ear *e)
{
	int fd = fcntl(listener_fds[e->number], F_DUPFD_CLOEXEC, 0), ret;

	e->h = NULL;
	if (fd < 0) {
		CHECK(is_scarce(-errno));
		return;
	}
	ret = register_ear(e, fd);
	if (ret) {
		CHECK(is_scarce(ret) || ret == -EOPNOTSUPP ||
		      is_steering_disturbed(ret));
		SYS(close(fd));
		e->h = NULL;
		return;
	}
	e->fd = fd;
	e->is_closing = false;
	e->is_lwsocket = one_in(&e->worker->dice, 2);
	want(e);
}

/* ----------------------------------------------------------------- events */

static void on_accept(struct ear *e, const struct mp_event *ev)
{
	struct worker *w = e->worker;

	if (ev->result < 0) {
		if (!(plan.features & (FAULTS | FAILURES | FEW_FDS)) ||
		    !is_scarce(ev->result))
			fail(__FILE__, __LINE__, "an accept is %zd",
			     ev->result);
		return; /* it is tried again */
	}
	CHECK((ev->result >= MP_LWSOCKET_BASE) == e->is_lwsocket);
	if (ev->accept.peer)
		CHECK_IS(ev->accept.peer->sa_family, plan.families[e->number]);
	w->accepted++;
	if (e->wanted && e->wanted != MP_ACCEPT_ALL && --e->wanted == 0)
		e->is_stopped = true;
	else
		CHECK(e->wanted || e->is_stopped || e->is_closing);
	connection_begin(w, ev->result);
}

void on_ear(struct ear *e, const struct mp_event *ev)
{
	CHECK(e->h == ev->handle);
	if (ev->cmd == MP_ACCEPT) {
		on_accept(e, ev);
		return;
	}
	CHECK_IS(ev->cmd, MP_CLOSE);
	CHECK(e->is_closing);
	CHECK_IS(ev->result, 0);
	e->h = NULL;
}

/* ---------------------------------------------------------------- playing */

static void close_ear(struct ear *e)
{
	if (!e->h || e->is_closing)
		return;
	if (one_in(&e->worker->dice, 2)) {
		e->is_closing = true;
		CHECK_IS(mp_close(e->h), 0);
		return;
	}
	CHECK_IS(mp_unregister(e->h), 0);
	SYS(close(e->fd));
	e->h = NULL;
}

/* Gives its CPUs up, or has them again. */
static void change_mask(struct ear *e)
{
	cpu_set_t mask;
	int ret;

	mask_of(e->worker->number, &mask);
	if (one_in(&e->worker->dice, 2))
		CPU_ZERO(&mask);
	ret = mp_set_cpu_mask(e->h, &mask);
	CHECK(ret == 0 || is_scarce(ret));
}

static void play(struct ear *e)
{
	struct dice *dice = &e->worker->dice;

	if (!e->h) {
		open_ear(e);
	} else if (e->is_closing) {
		return;
	} else if (e->is_stopped) {
		if (one_in(dice, 2))
			want(e);
	} else if (plan.has_other_masks && e->is_partitioned &&
		   one_in(dice, 20)) {
		change_mask(e);
	} else if (plan.features & REOPENS && one_in(dice, 100)) {
		close_ear(e);
	} else if (plan.features & PAUSES && one_in(dice, 100)) {
		CHECK_IS(mp_accept(e->h, 0, false), 0);
		e->is_stopped = true;
		e->wanted = 0;
	}
}

void play_with_ears(struct worker *w)
{
	for (unsigned int i = 0; i < plan.listeners; i++)
		play(&w->ears[i]);
}

void close_ears(struct worker *w)
{
	for (unsigned int i = 0; i < plan.listeners; i++)
		close_ear(&w->ears[i]);
}

bool are_ears_closed(const struct worker *w)
{
	for (unsigned int i = 0; i < plan.listeners; i++)
		if (w->ears[i].h)
			return false;
	return true;
}

void ears_forget(struct worker *w)
{
	for (unsigned int i = 0; i < plan.listeners; i++)
		if (w->ears[i].h && !w->ears[i].is_closing)
			SYS(close(w->ears[i].fd));
}
