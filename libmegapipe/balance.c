// SPDX-License-Identifier: MIT
/*
 * Balance between the channels of a process that share a partitioned socket
 * (what the paper leaves to future work, in section 3.4.1; Affinity-Accept does
 * so in the kernel). A channel that is idle takes a connection that waits in
 * the queue of one that is busy.
 *
 * Who is idle looks at the queues of the others from time to time. Where a
 * connection waits, its owner is asked whether it is idle, by a flag: as soon
 * as it would have to wait, it says so by clearing the flag. If it doesn't in
 * all of steal_us and a connection still waits, it is busy: it handles an
 * event, comes from one to the next, or gets no CPU. Then the look takes one
 * connection, and the next one is due as soon as this channel is idle again.
 *
 * So owners who aren't asked are not disturbed, who is busy takes no notice,
 * and nobody reads a clock but who is idle. Only clones are looked at, which
 * are the library's alone: a queue is held while somebody takes from it, and
 * its owner, who is about to close it, waits for that. A theft is one system
 * call or a few, without events in between: it is over soon, and who steals
 * never waits for an owner.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "engine.h"

/* Between looks: where connections wait, where they come, and where none does.
 */
#define LOOK_SOON_US 100
#define LOOK_MIN_US 1000
#define LOOK_MAX_US 64000
/* Queues that one system call looks at. */
#define AT_ONCE 64

/* What a look has found. */
enum found {
	NOTHING,
	WAITING, /* connections, perhaps for not long enough */
	STOLEN,
};

/* Recursive: a handler of SIGSEGV may fork wherever it happens. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_cond_t let_go = PTHREAD_COND_INITIALIZER;
static struct mp__queues shared = TAILQ_HEAD_INITIALIZER(shared);

/* A thread that is cancelled would keep the lock, or a queue. */
static int forbid_cancel(void)
{
	int before;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	return before;
}

/* ----------------------------------------------------------------- owners */

void mp__balance_share(struct mp__queue *q)
{
	if (!q->handle->ch->options.steal_us)
		return;
	pthread_mutex_lock(&lock);
	TAILQ_INSERT_TAIL(&shared, q, sharing);
	q->is_shared = true;
	pthread_mutex_unlock(&lock);
}

static void withdraw(struct mp__queue *q)
{
	while (q->is_held)
		pthread_cond_wait(&let_go, &lock);
	TAILQ_REMOVE(&shared, q, sharing);
	q->is_shared = false;
}

/* On return nobody has to do with the listener's queues but its owner. */
void mp__balance_unshare(struct mp__listener *l)
{
	int before = forbid_cancel();

	pthread_mutex_lock(&lock);
	for (unsigned int i = 0; i < l->nqueues; i++)
		if (l->queues[i]->is_shared)
			withdraw(l->queues[i]);
	pthread_mutex_unlock(&lock);
	pthread_setcancelstate(before, NULL);
}

/* The queues are the parent's, and so is the lock. */
void mp__balance_fork(enum mp__fork when)
{
	if (when == MP__BEFORE_FORK) {
		pthread_mutex_lock(&lock);
	} else if (when == MP__IN_PARENT) {
		pthread_mutex_unlock(&lock);
	} else {
		TAILQ_INIT(&shared);
		lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
		let_go = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	}
}

/* ----------------------------------------------------------------- looking */

/* Has the owner been busy for that long, as far as we know? */
static bool is_busy(struct mp_channel *owner, uint64_t us)
{
	struct mp__balance *b = &owner->balance;

	if (mp__is_asked(owner))
		return mp__now_us() - b->asked_us >= (int64_t)us;
	b->asked_us = mp__now_us();
	__atomic_store_n(&b->is_asked, true, __ATOMIC_RELAXED);
	return false;
}

static bool is_anothers(const struct mp__queue *q, const struct mp_handle *mine)
{
	return q->handle->ch != mine->ch && !q->is_held &&
	       q->handle->listener->group == mine->listener->group;
}

/* A queue in which a connection waits, and whose owner is busy. */
static struct mp__queue *busy_one(struct mp_channel *ch, struct pollfd *fds,
				  struct mp__queue **queues, unsigned int count,
				  enum found *found)
{
	ch->stats.crossings++;
	if (poll(fds, count, 0) <= 0)
		return NULL;
	for (unsigned int i = 0; i < count; i++) {
		if (fds[i].revents != POLLIN)
			continue;
		*found = WAITING;
		if (is_busy(queues[i]->handle->ch, ch->options.steal_us))
			return queues[i];
	}
	return NULL;
}

static struct mp__queue *find(struct mp_handle *mine, enum found *found)
{
	struct mp__queue *queues[AT_ONCE], *q = TAILQ_FIRST(&shared),
					   *busy = NULL;
	struct pollfd fds[AT_ONCE];

	while (q && !busy) {
		unsigned int n = 0;

		for (; q && n < AT_ONCE; q = TAILQ_NEXT(q, sharing)) {
			if (!is_anothers(q, mine))
				continue;
			queues[n] = q;
			fds[n++] = (struct pollfd){ .fd = q->fd,
						    .events = POLLIN };
		}
		if (n)
			busy = busy_one(mine->ch, fds, queues, n, found);
	}
	return busy;
}

/* Who else looks finds what there is: no need to wait for him. */
static struct mp__queue *find_and_hold(struct mp_handle *mine,
				       enum found *found)
{
	struct mp__queue *q;

	if (pthread_mutex_trylock(&lock))
		return NULL;
	q = find(mine, found);
	if (q) {
		q->is_held = true;
		/* others are first the next time */
		TAILQ_REMOVE(&shared, q, sharing);
		TAILQ_INSERT_TAIL(&shared, q, sharing);
	}
	pthread_mutex_unlock(&lock);
	return q;
}

static void let_queue_go(struct mp__queue *q)
{
	pthread_mutex_lock(&lock);
	q->is_held = false;
	pthread_cond_broadcast(&let_go);
	pthread_mutex_unlock(&lock);
}

/* ---------------------------------------------------------------- stealing */

/* An accept queue of the thief's handle, for sockets of others. */
static struct mp__queue *foreign_queue(struct mp_handle *handle)
{
	struct mp__listener *l = handle->listener;

	if (!l->foreign)
		l->foreign = mp__tagged_new(sizeof(*l->foreign));
	if (!l->foreign)
		return NULL;
	l->foreign->handle = handle;
	l->foreign->is_foreign = true;
	return l->foreign;
}

/* On return the engine has done with the socket, whether it took one or not. */
static void take_one(struct mp__queue *q, int from)
{
	struct mp_channel *ch = q->handle->ch;

	q->fd = from;
	mp__queue_take(q);
	ch->engine->flush(ch);
	while ((q->armed || q->cancels) && !ch->broken)
		ch->engine->fetch(ch, 0);
	if (ch->engine->accept_forget)
		ch->engine->accept_forget(q);
}

static enum found steal_for(struct mp_handle *handle)
{
	uint64_t before = handle->ch->stats.accepts_stolen;
	struct mp__queue *q = foreign_queue(handle), *from;
	enum found found = NOTHING;

	if (!q || !mp__queue_can_take(q))
		return NOTHING;
	from = find_and_hold(handle, &found);
	if (!from)
		return found;
	take_one(q, from->fd);
	let_queue_go(from);
	return handle->ch->stats.accepts_stolen > before ? STOLEN : WAITING;
}

static bool may_steal(const struct mp_handle *handle)
{
	const struct mp__listener *l = handle->listener;

	return l->group && l->wanted && handle->state == MP__OPEN;
}

/* Of several handles, the one that takes something is the last. */
static enum found steal(struct mp_channel *ch)
{
	int before = forbid_cancel();
	enum found found = NOTHING;
	struct mp_handle *handle;

	LIST_FOREACH (handle, &ch->listeners, listener->link) {
		enum found here = may_steal(handle) ? steal_for(handle) :
						      NOTHING;

		if (here > found)
			found = here;
		if (found == STOLEN)
			break;
	}
	pthread_setcancelstate(before, NULL);
	return found;
}

/* ------------------------------------------------------------ when to look */

static bool is_idle(const struct mp_channel *ch)
{
	return TAILQ_EMPTY(&ch->completed) && !ch->is_urgent;
}

/* Soon while connections wait, then less and less often. */
static int64_t next_look_us(struct mp_channel *ch, enum found found)
{
	struct mp__balance *b = &ch->balance;
	int64_t us = 2 * b->look_us, soon_us = ch->options.steal_us / 8;
	bool has_accepted = b->accepted != ch->stats.accepted;

	b->accepted = ch->stats.accepted;
	if (found == STOLEN)
		return 0;
	if (found == WAITING && soon_us > LOOK_SOON_US)
		return soon_us < LOOK_MIN_US ? soon_us : LOOK_MIN_US;
	if (found == WAITING || us < LOOK_SOON_US)
		return LOOK_SOON_US;
	if (has_accepted && us > LOOK_MIN_US)
		return LOOK_MIN_US;
	return us < LOOK_MAX_US ? us : LOOK_MAX_US;
}

static bool is_any_thief(const struct mp_channel *ch)
{
	struct mp_handle *handle;

	LIST_FOREACH (handle, &ch->listeners, listener->link)
		if (may_steal(handle))
			return true;
	return false;
}

void mp__balance_look(struct mp__timer *timer)
{
	struct mp_channel *ch =
		MP__CONTAINER(timer, struct mp_channel, balance.look);

	if (!is_any_thief(ch))
		return;
	if (is_idle(ch))
		ch->balance.look_us = next_look_us(ch, steal(ch));
	mp__timer_set(ch, timer, ch->balance.look_us);
}

/* The handle asks for connections. */
void mp__balance_begin(struct mp_handle *handle)
{
	struct mp_channel *ch = handle->ch;

	if (!ch->options.steal_us || !may_steal(handle) || ch->balance.look.ch)
		return;
	ch->balance.look_us = LOOK_MIN_US;
	mp__timer_set(ch, &ch->balance.look, LOOK_MIN_US);
}
