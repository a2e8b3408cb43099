// SPDX-License-Identifier: MIT
/*
 * megapipe-probe: what each engine can do on this machine, one line an engine
 * as tab-separated fields: name, 0 or the negative errno, the features used,
 * the features missing, and why it doesn't work.
 *
 * megapipe-probe room: how many channels of engine uring this user can have now
 * besides those that there are, in their default size; ROOM_MOST is as many as
 * anybody needs.
 */
#include <stdio.h>
#include <string.h>

#include "megapipe.h"

#define ROOM_MOST 64

static int probe(void)
{
	static const char *const engines[] = { "kernel", "uring", "epoll" };
	struct mp_engine_info info;

	for (size_t i = 0; i < sizeof(engines) / sizeof(*engines); i++) {
		int ret = mp_engine_probe(engines[i], &info);

		if (ret < 0)
			return 1;
		printf("%s\t%d\t%s\t%s\t%s\n", engines[i], info.error,
		       info.features, info.missing, mp_why());
	}
	return 0;
}

static bool is_whole(const struct mp_channel *ch)
{
	struct mp_stats stats = { .size = sizeof(stats) };

	return !mp_stats(ch, &stats) &&
	       stats.completion_entries == MP_COMPLETIONS_DEFAULT &&
	       stats.buffers == MP_BUFFERS_DEFAULT;
}

static int room(void)
{
	struct mp_options options = {
		.size = sizeof(options),
		.engine = "uring",
		.max_lwsockets = 1,
	};
	struct mp_channel *ch;
	int n = 0;

	while (n < ROOM_MOST && !mp_create(&options, &ch) && is_whole(ch))
		n++;
	printf("%d\n", n);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 1)
		return probe();
	if (argc == 2 && !strcmp(argv[1], "room"))
		return room();
	fprintf(stderr, "usage: megapipe-probe [room]\n");
	return 2;
}
