/* SPDX-License-Identifier: MIT */
/*
 * Memory that an operation may not read or write is -EFAULT, and no bytes of
 * the stream are lost.
 */
#include "channel.h"
#include "nowhere.h"

static int ch, pair[2];
static uint32_t h;

static void check_reading(void)
{
	char text[4];

	send_all(pair[1], "data", 4);
	for (size_t n = 0; n < NOWHERES; n++) {
		CHECK_IS(OUTCOME(ch, READ, h, .addr = nowhere[n], .len = 4),
			 -EFAULT);
		CHECK_IS(OUTCOME(ch, READ, h, .addr = nowhere[n],
				 .len = UINT32_MAX),
			 -EFAULT);
	}
	CHECK_IS(OUTCOME(ch, READ, h, BYTES(read_only_page(), 4)), -EFAULT);
	CHECK_IS(OUTCOME(ch, READ, h, BYTES(text, 4)), 4);
	CHECK_BYTES(text, "data", 4);
}

static void check_writing(void)
{
	for (size_t n = 0; n < NOWHERES; n++)
		CHECK_IS(OUTCOME(ch, WRITE, h, .addr = nowhere[n], .len = 4),
			 -EFAULT);
	CHECK(!readable(pair[1], 0));
}

static void check_arrays(void)
{
	char text[4];

	send_all(pair[1], "data", 4);
	for (size_t n = 0; n < NOWHERES; n++) {
		struct iovec iov = { (void *)(uintptr_t)nowhere[n], 4 };

		CHECK_IS(OUTCOME(ch, WRITE, h, .addr = nowhere[n], .len = 1,
				 .flags = MEGAPIPE_F_VECTOR),
			 -EFAULT);
		CHECK_IS(OUTCOME(ch, READ, h, .addr = nowhere[n], .len = 1,
				 .flags = MEGAPIPE_F_VECTOR),
			 -EFAULT);
		CHECK_IS(OUTCOME(ch, READ, h, VECTOR(&iov, 1)), -EFAULT);
		CHECK_IS(OUTCOME(ch, WRITE, h, VECTOR(&iov, 1)), -EFAULT);
	}
	CHECK_IS(OUTCOME(ch, READ, h, BYTES(text, 4)), 4);
	CHECK_BYTES(text, "data", 4);
}

/* Lengths that are none. */
static void check_lengths(void)
{
	static char byte;
	static struct iovec many[1025];
	struct iovec huge[2] = { { &byte, SIZE_MAX / 2 + 2 }, { &byte, 1 } };

	CHECK(OUTCOME(ch, WRITE, h, VECTOR(huge, 2)) < 0);
	for (int i = 0; i < 1025; i++)
		many[i] = (struct iovec){ &byte, 1 };
	CHECK_IS(OUTCOME(ch, WRITE, h, VECTOR(many, 1025)), -EINVAL);
	CHECK_IS(OUTCOME(ch, WRITE, h, VECTOR(many, UINT32_MAX)), -EINVAL);
	CHECK(!readable(pair[1], 0));
	CHECK_IS(OUTCOME(ch, WRITE, h, VECTOR(many, 1024)), 1024);
}

/* Memory that goes while an operation waits to use it. */
static void check_unmapped_meanwhile(void)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec *iov = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char text[4];

	ASK(ch, READ, h, BYTES(page, 4));
	SYS(munmap(page, 4096));
	send_all(pair[1], "late", 4);
	COMPLETES(ch, 1, READ, -EFAULT);

	/* bytes wait: an array that is there when asked for will do */
	CHECK_IS(OUTCOME(ch, READ, h, BYTES(text, 4)), 4);
	iov[0] = (struct iovec){ text, 4 };
	ASK(ch, READ, h, VECTOR(iov, 1));
	SYS(munmap(iov, 4096));
	send_all(pair[1], "last", 4);
	COMPLETES(ch, 1, READ, -EFAULT);
	CHECK_IS(OUTCOME(ch, READ, h, BYTES(text, 4)), 4);
	CHECK_BYTES(text, "last", 4);
}

void test(void)
{
	char drain[1024];

	ch = new_channel();
	tcp_pair(pair);
	h = add(ch, pair[0], 1);
	check_reading();
	check_writing();
	check_arrays();
	check_lengths();
	receive_all(pair[1], drain, 1024);
	check_unmapped_meanwhile();
	check_echo(ch, h, 1, pair[1]);
	SYS(close(ch));
}
