// SPDX-License-Identifier: MIT
/*
 * Timers of a channel: what the library itself has to do later. Few are set at
 * a time, and mostly none: a sorted list. They expire within fetches of the
 * channel's thread (channel.c).
 */
#define _GNU_SOURCE
#include <time.h>

#include "engine.h"

int64_t mp__now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/*
 * Behind which it belongs; NULL: it is first. Looked for from both ends: many
 * may wait for long where some wait for milliseconds, or the other way round.
 */
static struct mp__timer *find_earlier(struct mp__timers *timers, int64_t at_us)
{
	struct mp__timer *front = TAILQ_FIRST(timers);
	struct mp__timer *back = TAILQ_LAST(timers, mp__timers);

	while (back && back->at_us > at_us) {
		if (front->at_us > at_us)
			return TAILQ_PREV(front, mp__timers, link);
		front = TAILQ_NEXT(front, link);
		back = TAILQ_PREV(back, mp__timers, link);
	}
	return back;
}

/* Later by one microsecond at least: never in the round that sets it. */
void mp__timer_set(struct mp_channel *ch, struct mp__timer *timer,
		   int64_t after_us)
{
	struct mp__timer *earlier;

	mp__timer_cancel(timer);
	timer->ch = ch;
	timer->at_us = mp__now_us() + (after_us > 1 ? after_us : 1);
	earlier = find_earlier(&ch->timers, timer->at_us);
	if (earlier)
		TAILQ_INSERT_AFTER(&ch->timers, earlier, timer, link);
	else
		TAILQ_INSERT_HEAD(&ch->timers, timer, link);
}

void mp__timer_cancel(struct mp__timer *timer)
{
	if (!timer->ch)
		return;
	TAILQ_REMOVE(&timer->ch->timers, timer, link);
	timer->ch = NULL;
}

int64_t mp__left_us(int64_t deadline_us)
{
	int64_t left_us;

	if (deadline_us <= 0)
		return deadline_us;
	left_us = deadline_us - mp__now_us();
	return left_us > 0 ? left_us : 0;
}

/* What expire() does may set and cancel any timer. */
void mp__timers_run(struct mp_channel *ch)
{
	int64_t now_us = mp__now_us();
	struct mp__timer *timer;

	while ((timer = TAILQ_FIRST(&ch->timers)) && timer->at_us <= now_us) {
		mp__timer_cancel(timer);
		timer->expire(timer);
	}
}
