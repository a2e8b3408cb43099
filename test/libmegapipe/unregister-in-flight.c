/* SPDX-License-Identifier: MIT */
/*
 * Leaving the channel with everything in flight: no event comes after, the
 * memory is the caller's at once, and the fd goes on by itself.
 */
#include <pthread.h>

#include "check.h"

#define SIZE (8 << 20)

static void check_free(struct mp_channel *ch, int fd, int peer)
{
	char text[8];

	send_all(peer, "after", 5);
	EXPECT_NONE(ch);
	CHECK(readable(fd, PATIENCE_US / 1000));
	receive_all(fd, text, 5);
	CHECK_BYTES(text, "after", 5);
}

static void check_reads(struct mp_channel *ch)
{
	char *bytes = calloc(3, 8), untouched[24] = { 0 };
	struct mp_handle *h;
	int pair[2];

	tcp_pair(pair);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_read(h, bytes, 8), 0);
	CHECK_IS(mp_read(h, bytes + 8, 8), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_read(h, bytes + 16, 8), 0);
	CHECK_IS(mp_unregister(h), 0);
	check_free(ch, pair[0], pair[1]);
	CHECK_BYTES(bytes, untouched, 24);
	free(bytes);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

static void check_recv(struct mp_channel *ch)
{
	struct mp_handle *h;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_recv(h), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_unregister(h), 0);
	check_free(ch, pair[0], pair[1]);
	CHECK_IS(stats_of(ch).buffers_held, 0);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

static void *read_to_end(void *fd)
{
	char *bytes = malloc(SIZE);
	ssize_t got, total = 0;

	while ((got = SYS(read(*(int *)fd, bytes, SIZE))) > 0) {
		check_filled(bytes, got, total);
		total += got;
	}
	free(bytes);
	return (void *)total;
}

/* The peer gets a beginning of the bytes, unharmed by what we do to them. */
static void check_write(struct mp_channel *ch)
{
	char *bytes = malloc(SIZE);
	struct mp_handle *h;
	pthread_t reader;
	void *total;
	int pair[2];

	tcp_pair(pair);
	small_buffers(pair);
	h = make_handle(ch, pair[0]);
	fill(bytes, SIZE, 0);
	CHECK_IS(mp_write(h, bytes, SIZE), 0);
	CHECK_IS(mp_write(h, bytes, SIZE), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_unregister(h), 0);
	memset(bytes, 0xaa, SIZE);
	free(bytes);
	CHECK_IS(pthread_create(&reader, NULL, read_to_end, &pair[1]), 0);
	EXPECT_NONE(ch);
	SYS(close(pair[0]));
	CHECK_IS(pthread_join(reader, &total), 0);
	CHECK((size_t)total > 0 && (size_t)total < SIZE);
	SYS(close(pair[1]));
}

void test(void)
{
	struct mp_channel *ch = make_channel();

	check_reads(ch);
	check_recv(ch);
	check_write(ch);
	CHECK_IS(stats_of(ch).handles, 0);
	mp_destroy(ch);
}
