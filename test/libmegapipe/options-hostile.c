/* SPDX-License-Identifier: MIT */
/*
 * A member of mp_options out of its range is -EINVAL; the bounds themselves
 * are fine.
 */
#include "check.h"

static void check(struct mp_options options, int result)
{
	struct mp_channel *untouched = (struct mp_channel *)&options,
			  *ch = untouched;
	int fds = open_fds();

	options.size = sizeof(options);
	options.engine = engine;
	CHECK_IS(mp_create(&options, &ch), result);
	if (result == 0)
		mp_destroy(ch);
	else
		CHECK(ch == untouched);
	CHECK_IS(open_fds(), fds);
}

static void check_bounds(void)
{
	check((struct mp_options){ .batch = MP_BATCH_MAX }, 0);
	check((struct mp_options){ .max_lwsockets = 1 }, 0);
	check((struct mp_options){ .max_lwsockets = MP_LWSOCKETS_MAX }, 0);
	check((struct mp_options){ .buffers = 1 }, 0);
	check((struct mp_options){ .buffers = MP_BUFFERS_MAX }, 0);
	check((struct mp_options){ .buffer_size = 1 }, 0);
	check((struct mp_options){ .buffer_size = MP_BUFFER_SIZE_MAX }, 0);
	check((struct mp_options){ .completions = 1 }, 0);
	check((struct mp_options){ .completions = MP_COMPLETIONS_MAX }, 0);
	check((struct mp_options){ .moderation_us = MP_MODERATION_MAX }, 0);
}

static void check_beyond(void)
{
	check((struct mp_options){ .batch = MP_BATCH_MAX + 1 }, -EINVAL);
	check((struct mp_options){ .batch = UINT32_MAX }, -EINVAL);
	check((struct mp_options){ .max_lwsockets = MP_LWSOCKETS_MAX + 1 },
	      -EINVAL);
	check((struct mp_options){ .buffers = MP_BUFFERS_MAX * 2 }, -EINVAL);
	check((struct mp_options){ .buffers = 3 }, -EINVAL);
	check((struct mp_options){ .buffers = 1000 }, -EINVAL);
	check((struct mp_options){ .buffer_size = MP_BUFFER_SIZE_MAX + 1 },
	      -EINVAL);
	check((struct mp_options){ .buffer_size = UINT32_MAX }, -EINVAL);
	check((struct mp_options){ .completions = MP_COMPLETIONS_MAX * 2 },
	      -EINVAL);
	check((struct mp_options){ .completions = 100 }, -EINVAL);
	check((struct mp_options){ .moderation_us = MP_MODERATION_MAX + 1 },
	      -EINVAL);
}

void test(void)
{
	CHECK_IS(mp_create(NULL, NULL), -EINVAL);
	check_bounds();
	check_beyond();
}
