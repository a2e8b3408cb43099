/* SPDX-License-Identifier: MIT */
/* What a connection is about to write, in one buffer and pointers to values. */
#include <errno.h>
#include <stdlib.h>

#include "worker.h"

/* The buffer has moved: so have the segments in it. */
static void move_segments(struct output *o, uintptr_t from, uint32_t size,
			  uint8_t *to)
{
	for (uint32_t i = 0; i < o->n_segments; i++) {
		uintptr_t base = (uintptr_t)o->segments[i].iov_base;

		if (base >= from && base < from + size)
			o->segments[i].iov_base = to + (base - from);
	}
}

int output_reserve(struct output *o, uint32_t bytes)
{
	if (o->size - o->used >= bytes)
		return 0;

	uintptr_t from = (uintptr_t)o->buf;
	uint32_t size = o->size ? o->size : 256;

	while (size - o->used < bytes)
		size *= 2;
	uint8_t *buf = realloc(o->buf, size);
	if (!buf)
		return -ENOMEM;
	move_segments(o, from, o->size, buf);
	o->buf = buf;
	o->size = size;
	return 0;
}

static int reserve_segments(struct output *o, uint32_t n)
{
	if (o->segments_size - o->n_segments >= n)
		return 0;

	uint32_t size = o->segments_size * 2 + n;
	struct iovec *segments = realloc(o->segments, size * sizeof(*segments));

	if (!segments)
		return -ENOMEM;
	o->segments = segments;
	o->segments_size = size;
	return 0;
}

/* What was copied since the last segment becomes one. */
static void end_copied(struct output *o)
{
	if (o->used == o->tail)
		return;
	o->segments[o->n_segments++] =
		(struct iovec){ o->buf + o->tail, o->used - o->tail };
	o->tail = o->used;
}

int output_reference(struct output *o, const void *data, uint32_t len)
{
	int rc = reserve_segments(o, 3); /* one is left for output_finish() */

	if (rc)
		return rc;
	end_copied(o);
	o->segments[o->n_segments++] = (struct iovec){ (void *)data, len };
	return 0;
}

/* The number of segments; 0: all of it is in buf, from its start. */
uint32_t output_finish(struct output *o)
{
	if (o->n_segments)
		end_copied(o);
	return o->n_segments;
}

void output_clear(struct output *o)
{
	o->used = 0;
	o->tail = 0;
	o->n_segments = 0;
}
