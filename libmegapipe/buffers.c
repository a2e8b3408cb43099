// SPDX-License-Identifier: MIT
/*
 * The channel's buffers for mp_recv(). They are address space at first: memory
 * is taken by what is received.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine.h"

#define HUGE_PAGE (2UL << 20)
/* Buffers a page apart would all start in the same set of the cache. */
#define COLOUR 64

static int map_memory(struct mp__buffers *b, size_t size)
{
	void *memory;

	b->mapped = (size + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
	memory = mmap(NULL, b->mapped, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	b->memory = memory;
	return mp__not_in_child(memory, b->mapped);
}

static void point_into(struct mp_channel *ch, size_t stride)
{
	struct mp__buffers *b = &ch->buffers;

	for (uint32_t i = 0; i < b->count; i++)
		b->state[i].data = b->memory + stride * i;
}

int mp__buffers_create(struct mp_channel *ch)
{
	struct mp__buffers *b = &ch->buffers;
	size_t stride =
		((size_t)ch->options.buffer_size + 63) / 64 * 64 + COLOUR;
	int ret;

	b->count = ch->options.buffers;
	b->state = calloc(b->count, sizeof(*b->state));
	b->free = calloc(b->count, sizeof(*b->free));
	ret = b->state && b->free ? map_memory(b, stride * b->count) : -ENOMEM;
	if (!ret) {
		point_into(ch, stride);
		ret = ch->engine->buffers(ch);
	}
	if (ret)
		mp__buffers_destroy(ch);
	return ret;
}

/* Room for as many again on the heap. */
static int grow(struct mp__buffers *b)
{
	uint32_t count = 2 * b->count;
	struct mp__buffer *state =
		reallocarray(b->state, count, sizeof(*state));
	uint32_t *free_stack;

	if (!state)
		return -ENOMEM;
	b->state = state;
	free_stack = reallocarray(b->free, count, sizeof(*free_stack));
	if (!free_stack)
		return -ENOMEM;
	b->free = free_stack;
	for (uint32_t i = count; i-- > b->count;) {
		b->state[i] = (struct mp__buffer){ 0 };
		b->free[b->nfree++] = i;
	}
	b->count = count;
	return 0;
}

/* The number of a copy on the heap, or MP__NO_BUFFER: no memory. */
uint32_t mp__buffer_copy(struct mp_channel *ch, const char *data, uint32_t len)
{
	struct mp__buffers *b = &ch->buffers;
	uint32_t buffer;

	if (!b->nfree && grow(b))
		return MP__NO_BUFFER;
	buffer = b->free[b->nfree - 1];
	b->state[buffer].data = malloc(len);
	if (!b->state[buffer].data)
		return MP__NO_BUFFER;
	b->nfree--;
	memcpy(b->state[buffer].data, data, len);
	return buffer;
}

void mp__buffer_copy_free(struct mp_channel *ch, uint32_t buffer)
{
	struct mp__buffers *b = &ch->buffers;

	free(b->state[buffer].data);
	b->state[buffer].data = NULL;
	b->free[b->nfree++] = buffer;
}

void mp__buffers_destroy(struct mp_channel *ch)
{
	struct mp__buffers *b = &ch->buffers;

	for (uint32_t i = ch->options.buffers; i < b->count; i++)
		free(b->state[i].data);
	if (b->memory)
		munmap(b->memory, b->mapped);
	free(b->state);
	free(b->free);
	*b = (struct mp__buffers){ 0 };
}
