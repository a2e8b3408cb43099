/* SPDX-License-Identifier: MIT */
/*
 * A handle whose mp_recv() waits for a buffer still writes: at once, and when
 * a slow reader makes room.
 */
#include <pthread.h>

#include "check.h"

#define SIZE (2 << 20)
#define STARVED 5

static struct mp_event take_only_buffer(struct mp_channel *ch, int pair[2])
{
	struct mp_handle *h;

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	send_all(pair[1], "taken", 5);
	CHECK_IS(mp_recv(h), 0);
	return EXPECT(ch, h, MP_RECV, 5);
}

static struct mp_handle *starve(struct mp_channel *ch, int pair[2])
{
	struct mp_handle *h;

	unix_pair(pair, SOCK_STREAM);
	small_buffers(pair);
	send_all(pair[1], "hello", 5);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_recv(h), 0);
	return h;
}

static void *read_all(void *fd)
{
	char *bytes = malloc(SIZE + 5);

	receive_all(*(int *)fd, bytes, SIZE + 5);
	CHECK_BYTES(bytes, "small", 5);
	check_filled(bytes + 5, SIZE, 0);
	free(bytes);
	return NULL;
}

static void write_starved(struct mp_channel *ch, struct mp_handle *h, int peer,
			  const char *bytes)
{
	pthread_t reader;

	CHECK_IS(mp_write(h, "small", 5), 0);
	EXPECT(ch, h, MP_WRITE, 5);
	CHECK_IS(mp_write(h, bytes, SIZE), 0);
	EXPECT_NONE(ch);
	CHECK_IS(pthread_create(&reader, NULL, read_all, &peer), 0);
	EXPECT(ch, h, MP_WRITE, SIZE);
	CHECK_IS(pthread_join(reader, NULL), 0);
}

void test(void)
{
	struct mp_channel *ch =
		make_channel_with((struct mp_options){ .buffers = 1 });
	struct mp_handle *handles[STARVED];
	int first[2], pairs[STARVED][2];
	struct mp_event held = take_only_buffer(ch, first);
	char *bytes = malloc(SIZE);

	fill(bytes, SIZE, 0);
	for (int i = 0; i < STARVED; i++)
		handles[i] = starve(ch, pairs[i]);
	EXPECT_NONE(ch);
	for (int i = 0; i < STARVED; i++)
		write_starved(ch, handles[i], pairs[i][1], bytes);
	for (int i = 0; i < STARVED; i++) {
		CHECK_IS(mp_release(ch, &held), 0);
		held = NEXT(ch);
		CHECK(held.cmd == MP_RECV && held.result == 5);
	}
	mp_destroy(ch);
	free(bytes);
}
