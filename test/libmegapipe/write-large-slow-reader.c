/* SPDX-License-Identifier: MIT */
/*
 * A write larger than all buffers completes once, whole, however slow its
 * reader is.
 */
#include <pthread.h>
#include <time.h>

#include "check.h"

#define SIZE (8 << 20)

static void *read_slowly(void *fd)
{
	char *bytes = malloc(SIZE);
	const struct timespec pause = { .tv_nsec = 500 * 1000 };

	for (size_t done = 0; done < SIZE;) {
		size_t left = SIZE - done, size = left < 30011 ? left : 30011;

		receive_all(*(int *)fd, bytes + done, size);
		check_filled(bytes + done, size, done);
		done += size;
		nanosleep(&pause, NULL);
	}
	free(bytes);
	return NULL;
}

static void check_write(struct mp_channel *ch, int pair[2])
{
	struct mp_handle *h = make_handle(ch, pair[0]);
	char *bytes = malloc(SIZE);
	pthread_t reader;

	small_buffers(pair);
	fill(bytes, SIZE, 0);
	CHECK_IS(mp_write(h, bytes, SIZE), 0);
	EXPECT_NONE(ch);
	CHECK_IS(pthread_create(&reader, NULL, read_slowly, &pair[1]), 0);
	EXPECT(ch, h, MP_WRITE, SIZE);
	EXPECT_NONE(ch);
	CHECK_IS(pthread_join(reader, NULL), 0);
	free(bytes);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	receive_end(pair[1]);
	SYS(close(pair[1]));
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int pair[2];

	tcp_pair(pair);
	check_write(ch, pair);
	unix_pair(pair, SOCK_STREAM);
	check_write(ch, pair);
	mp_destroy(ch);
}
