// SPDX-License-Identifier: MIT
/*
 * megapipe-probe: what each engine can do on this machine, one line an engine
 * as tab-separated fields: name, 0 or the negative errno, the features used,
 * the features missing.
 */
#include <stdio.h>

#include "megapipe.h"

int main(void)
{
	static const char *const engines[] = { "kernel", "uring", "epoll" };
	struct mp_engine_info info;

	for (size_t i = 0; i < sizeof(engines) / sizeof(*engines); i++) {
		int ret = mp_engine_probe(engines[i], &info);

		if (ret < 0)
			return 1;
		printf("%s\t%d\t%s\t%s\n", engines[i], info.error,
		       info.features, info.missing);
	}
	return 0;
}
