/* SPDX-License-Identifier: MIT */
/*
 * A pipe: bytes come in, a large write is taken whole by a slow reader, and
 * both ends show.
 */
#include <pthread.h>
#include <signal.h>

#include "check.h"

#define SIZE (1 << 20)

static void *read_all(void *pipe)
{
	char *bytes = malloc(SIZE);

	receive_all(*(int *)pipe, bytes, SIZE);
	check_filled(bytes, SIZE, 0);
	free(bytes);
	return NULL;
}

static void check_write_end(struct mp_channel *ch, int pipe[2])
{
	struct mp_handle *h = make_handle(ch, pipe[1]);
	char *bytes = malloc(SIZE);
	pthread_t reader;

	fill(bytes, SIZE, 0);
	CHECK_IS(mp_write(h, bytes, SIZE), 0);
	EXPECT_NONE(ch);
	CHECK_IS(pthread_create(&reader, NULL, read_all, pipe), 0);
	EXPECT(ch, h, MP_WRITE, SIZE);
	CHECK_IS(pthread_join(reader, NULL), 0);
	SYS(close(pipe[0]));
	CHECK_IS(mp_write(h, bytes, 1), 0);
	EXPECT(ch, h, MP_WRITE, -EPIPE);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	free(bytes);
}

static void check_read_end(struct mp_channel *ch, int pipe[2])
{
	struct mp_handle *h = make_handle(ch, pipe[0]);
	char text[8];

	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	EXPECT_NONE(ch);
	send_all(pipe[1], "abc", 3);
	EXPECT(ch, h, MP_READ, 3);
	CHECK_BYTES(text, "abc", 3);
	SYS(close(pipe[1]));
	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	EXPECT(ch, h, MP_READ, 0);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	SYS(pipe(ends));
	check_read_end(ch, ends);
	SYS(pipe(ends));
	check_write_end(ch, ends);
	mp_destroy(ch);
}
