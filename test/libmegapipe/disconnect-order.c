/* SPDX-License-Identifier: MIT */
/*
 * Write, disconnect, close: the peer gets every byte, then the end; events
 * come in that order.
 */
#include <pthread.h>

#include "check.h"

#define SIZE (3 << 20)

static void *read_to_end(void *fd)
{
	char *bytes = malloc(SIZE);

	receive_all(*(int *)fd, bytes, SIZE);
	check_filled(bytes, SIZE, 0);
	receive_end(*(int *)fd);
	free(bytes);
	return NULL;
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	char *bytes = malloc(SIZE);
	struct mp_handle *h;
	pthread_t reader;
	int pair[2];

	tcp_pair(pair);
	small_buffers(pair);
	h = make_handle(ch, pair[0]);
	fill(bytes, SIZE, 0);
	CHECK_IS(mp_write(h, bytes, SIZE), 0);
	CHECK_IS(mp_disconnect(h, SHUT_WR), 0);
	CHECK_IS(mp_close(h), 0);
	EXPECT_NONE(ch);
	CHECK_IS(pthread_create(&reader, NULL, read_to_end, &pair[1]), 0);
	EXPECT(ch, h, MP_WRITE, SIZE);
	EXPECT(ch, h, MP_DISCONNECT, 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	CHECK_IS(pthread_join(reader, NULL), 0);
	EXPECT_NONE(ch);
	mp_destroy(ch);
	free(bytes);
	SYS(close(pair[1]));
}
