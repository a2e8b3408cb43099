/* SPDX-License-Identifier: MIT */
/*
 * Calls for another kind of file are refused, by the call or by its event, and
 * harm nothing.
 */
#include <sys/eventfd.h>

#include "check.h"

/* Result of the operation that was just asked for. */
static ssize_t outcome(struct mp_channel *ch, int asked)
{
	return asked < 0 ? asked : NEXT(ch).result;
}

static void check_pipe(struct mp_channel *ch, struct mp_handle *h)
{
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct sockaddr_storage addr = { .ss_family = AF_INET };

	CHECK_IS(outcome(ch, mp_recvmsg(h, &msg)), -ENOTSOCK);
	CHECK_IS(outcome(ch, mp_sendmsg(h, &msg)), -ENOTSOCK);
	CHECK_IS(outcome(ch, mp_connect(h, (struct sockaddr *)&addr, 16)),
		 -ENOTSOCK);
	CHECK_IS(outcome(ch, mp_disconnect(h, SHUT_RD)), -ENOTSOCK);
	CHECK_IS(outcome(ch, mp_pread(h, &byte, 1, 0)), -ESPIPE);
	CHECK_IS(outcome(ch, mp_pwrite(h, &byte, 1, 0)), -ESPIPE);
}

static void check_direction(struct mp_channel *ch, int ends[2])
{
	struct mp_handle *in = make_handle(ch, ends[0]),
			 *out = make_handle(ch, ends[1]);
	char byte = 0;

	check_pipe(ch, in);
	check_pipe(ch, out);
	CHECK_IS(outcome(ch, mp_write(in, &byte, 1)), -EBADF);
	CHECK_IS(outcome(ch, mp_read(out, &byte, 1)), -EBADF);
	CHECK_IS(outcome(ch, mp_write(out, "x", 1)), 1);
	CHECK_IS(outcome(ch, mp_read(in, &byte, 1)), 1);
	CHECK_IS(byte, 'x');
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct mp_handle *h = make_handle(ch, SYS(eventfd(0, 0)));
	uint64_t count = 1;
	int ends[2];

	SYS(pipe(ends));
	check_direction(ch, ends);
	CHECK_IS(outcome(ch, mp_write(h, &count, 3)), -EINVAL);
	CHECK_IS(outcome(ch, mp_write(h, &count, 8)), 8);
	CHECK_IS(outcome(ch, mp_read(h, &count, 3)), -EINVAL);
	CHECK_IS(outcome(ch, mp_read(h, &count, 8)), 8);
	EXPECT_NONE(ch);
	mp_destroy(ch);
}
