/* SPDX-License-Identifier: MIT */
#ifndef NOWHERE_H
#define NOWHERE_H

#include <stdint.h>
#include <sys/mman.h>

#include "check.h"

/* Where no process has memory: the start, the kernel's, the very end. */
static const uint64_t nowhere[] = {
	0,
	8,
	0xffff888000000000,
	0xffffffff81000000,
	0x00007ffffffffff8,
	0x8000000000000000,
	UINT64_MAX,
	UINT64_MAX - 7,
};

#define NOWHERES (sizeof(nowhere) / sizeof(*nowhere))

/* Memory that may only be looked at. */
static inline void *read_only_page(void)
{
	void *page =
		mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(page != MAP_FAILED);
	return page;
}

#endif
