/* SPDX-License-Identifier: MIT */
/* Queued writes of all sizes arrive, and complete, in the order asked for. */
#include <pthread.h>

#include "check.h"

#define WRITES 300
#define LARGEST 40000
#define TOTAL (4 << 20)

static void *read_all(void *fd)
{
	char *bytes = malloc(TOTAL);
	ssize_t got, total = 0;

	while ((got = SYS(read(*(int *)fd, bytes + total, TOTAL - total))) > 0)
		total += got;
	check_filled(bytes, total, 0);
	free(bytes);
	return (void *)total;
}

/* From 1 byte to LARGEST, mixed, deterministic. */
static size_t size_of_write(int i)
{
	return 1 + (i % 3 ? i * 7 % 100 : i * 7919 % LARGEST);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	char *bytes = malloc(TOTAL);
	size_t total = 0;
	struct mp_handle *h;
	pthread_t reader;
	void *received;
	int pair[2];

	tcp_pair(pair);
	h = make_handle(ch, pair[0]);
	fill(bytes, TOTAL, 0);
	for (int i = 0; i < WRITES; total += size_of_write(i++))
		CHECK_IS(mp_write(h, bytes + total, size_of_write(i)), 0);
	CHECK(total < TOTAL);
	CHECK_IS(mp_close(h), 0);
	CHECK_IS(pthread_create(&reader, NULL, read_all, &pair[1]), 0);
	for (int i = 0; i < WRITES; i++)
		EXPECT(ch, h, MP_WRITE, size_of_write(i));
	EXPECT(ch, h, MP_CLOSE, 0);
	CHECK_IS(pthread_join(reader, &received), 0);
	CHECK_IS((size_t)received, total);
	mp_destroy(ch);
	free(bytes);
	SYS(close(pair[1]));
}
