/* SPDX-License-Identifier: MIT */
/*
 * Wake-up moderation. A server that keeps up with its clients sleeps after each
 * few completions, and every wake-up costs more than the work that it is for.
 * So it waits for some more, a short time at most.
 *
 * How many is learnt as TCP learns its window: a wait that gets its target in
 * time raises it, by one at first, later by one in MP__RAISE_EVERY waits; one
 * that doesn't halves it and pauses moderation, longer each time in a row. One
 * connection that plays ping-pong is delayed once in MP__PAUSE_MAX waits at
 * most.
 */
#ifndef MP_MODERATION_H
#define MP_MODERATION_H

#define MP__PAUSE_MAX 64
#define MP__RAISE_EVERY 16

struct mp__moderation {
	unsigned int target;	/* completions to wait for, less one */
	unsigned int asked;	/* ... by the wait that is going on */
	unsigned int threshold; /* up to here the target rises fast; 0: no limit
				 */
	unsigned int in_time;	/* waits since it rose */
	unsigned int pause;	/* waits to go without */
	unsigned int next_pause;
};

/* How many completions the next wait should ask for. */
static inline unsigned int mp__moderation_target(struct mp__moderation *m)
{
	m->asked = 1 + (m->pause ? 0 : m->target);
	if (m->pause)
		m->pause--;
	return m->asked;
}

static inline void mp__moderation_late(struct mp__moderation *m)
{
	m->pause = m->next_pause;
	m->next_pause = 2 * m->next_pause + 1;
	if (m->next_pause > MP__PAUSE_MAX)
		m->next_pause = MP__PAUSE_MAX;
	m->target /= 2;
	m->threshold = m->target + 1;
	m->in_time = 0;
}

static inline void mp__moderation_in_time(struct mp__moderation *m,
					  unsigned int most)
{
	if (m->pause)
		return;
	if (m->asked > 1)
		m->next_pause = 0;
	if (++m->in_time < MP__RAISE_EVERY && m->threshold &&
	    m->target >= m->threshold)
		return;
	m->in_time = 0;
	if (m->target + 1 < most)
		m->target++;
}

/* That many came. */
static inline void mp__moderate(struct mp__moderation *m, unsigned int came,
				unsigned int most)
{
	if (came < m->asked)
		mp__moderation_late(m);
	else
		mp__moderation_in_time(m, most);
}

#endif
