/* SPDX-License-Identifier: MIT */
/*
 * Latency counts, laid out as HdrHistogram lays out a histogram of 1 ns to
 * 1 hour with three significant digits: an index means the same value here
 * and in hdr-histogram-js, which does all the statistics.
 */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_HALF_BITS 10
#define HISTOGRAM_HALF (1U << HISTOGRAM_HALF_BITS)
#define HISTOGRAM_MAX_NS 3600000000000ULL
#define HISTOGRAM_BUCKETS 32 /* 2048 << 31 is the first power above 1 h */
#define HISTOGRAM_COUNTS ((HISTOGRAM_BUCKETS + 1) * HISTOGRAM_HALF)

struct histogram {
	uint64_t counts[HISTOGRAM_COUNTS];
};

/* Values over an hour count as one hour. */
static inline uint32_t histogram_index(uint64_t ns)
{
	if (ns > HISTOGRAM_MAX_NS)
		ns = HISTOGRAM_MAX_NS;
	uint32_t bucket = 63 - HISTOGRAM_HALF_BITS -
			  __builtin_clzll(ns | (2 * HISTOGRAM_HALF - 1));

	return (bucket << HISTOGRAM_HALF_BITS) + (uint32_t)(ns >> bucket);
}

#endif
