/* SPDX-License-Identifier: MIT */
/*
 * mp_writev() writes all its pieces in order: empty ones, up to IOV_MAX, and
 * over short writes.
 */
#include <limits.h>
#include <pthread.h>

#include "check.h"

#define PIECES IOV_MAX
#define TOTAL (4 << 20)

static void *read_all(void *fd)
{
	char *bytes = malloc(TOTAL);

	receive_all(*(int *)fd, bytes, TOTAL);
	check_filled(bytes, TOTAL, 0);
	free(bytes);
	return NULL;
}

/*
 * Cut TOTAL bytes into PIECES, every 5th of them empty, the last takes the
 * rest.
 */
static void cut(struct iovec iov[PIECES], char *bytes)
{
	size_t at = 0;

	for (int i = 0; i < PIECES; i++) {
		size_t size = i % 5 == 4 ? 0 : 1 + i * 37 % 4000;

		iov[i].iov_base = bytes + at;
		iov[i].iov_len = i == PIECES - 1 ? TOTAL - at : size;
		at += size;
	}
	CHECK(at < TOTAL);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct iovec *iov = calloc(PIECES + 1, sizeof(*iov));
	char *bytes = malloc(TOTAL);
	struct mp_handle *h;
	pthread_t reader;
	int pair[2];

	tcp_pair(pair);
	small_buffers(pair);
	h = make_handle(ch, pair[0]);
	fill(bytes, TOTAL, 0);
	cut(iov, bytes);
	CHECK_IS(mp_writev(h, iov, PIECES + 1), -EINVAL);
	CHECK_IS(mp_writev(h, iov, PIECES), 0);
	memset(iov, 0xff, PIECES * sizeof(*iov));
	free(iov);
	EXPECT_NONE(ch);
	CHECK_IS(pthread_create(&reader, NULL, read_all, &pair[1]), 0);
	EXPECT(ch, h, MP_WRITE, TOTAL);
	CHECK_IS(pthread_join(reader, NULL), 0);
	mp_destroy(ch);
	free(bytes);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}
