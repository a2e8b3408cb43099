/* SPDX-License-Identifier: MIT */
/*
 * Marks that count.c sees when a program executes them. Anywhere else they are
 * instructions that do nothing: nopl with an offset that no compiler uses.
 */
#ifndef MARK_H
#define MARK_H

#define MARK_BYTES(kind) 0x0f, 0x1f, 0x84, 0x00, 0x4d, 0x50, 0x4b, kind

#define MARK_BEGIN MARK_BYTES(0x01)
#define MARK_END MARK_BYTES(0x02)

#define MARK_STRING(...) #__VA_ARGS__
#define MARK_CODE(...) ".byte " MARK_STRING(__VA_ARGS__)

static inline void mark_begin(void)
{
#ifdef __x86_64__
	__asm__ volatile(MARK_CODE(MARK_BEGIN) : : : "memory");
#endif
}

static inline void mark_end(void)
{
#ifdef __x86_64__
	__asm__ volatile(MARK_CODE(MARK_END) : : : "memory");
#endif
}

#endif
