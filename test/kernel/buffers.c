/* SPDX-License-Identifier: MIT */
/* Buffers for RECV are given once, in memory and numbers that make sense. */
#include "channel.h"
#include "nowhere.h"

static char memory[4096];
static uint32_t stack[65];

static const struct megapipe_buffers right = {
	.count = 64,
	.size = 64,
	.stride = 64,
};

static int try_buffers(int ch, struct megapipe_buffers buffers)
{
	if (!buffers.memory)
		buffers.memory = ADDRESS(memory);
	if (!buffers.free)
		buffers.free = ADDRESS(stack);
	return try_ioctl(ch, MEGAPIPE_IOC_BUFFERS, &buffers);
}

#define WITH(member, value)                         \
	({                                          \
		struct megapipe_buffers b_ = right; \
		b_.member = (value);                \
		b_;                                 \
	})

void test(void)
{
	int ch = new_channel();

	CHECK_IS(try_buffers(ch, WITH(count, 0)), -EINVAL);
	CHECK_IS(try_buffers(ch, WITH(count, MEGAPIPE_BUFFERS_MAX + 1)),
		 -EINVAL);
	CHECK_IS(try_buffers(ch, WITH(count, UINT32_MAX)), -EINVAL);
	CHECK_IS(try_buffers(ch, WITH(size, 0)), -EINVAL);
	CHECK_IS(try_buffers(ch, WITH(size, MEGAPIPE_BUFFER_SIZE_MAX + 1)),
		 -EINVAL);
	CHECK_IS(try_buffers(ch, WITH(stride, 63)), -EINVAL);
	CHECK_IS(try_buffers(ch, right), 0);
	CHECK_IS(try_buffers(ch, right), -EBUSY);
	check_usable(ch);
	SYS(close(ch));
}
