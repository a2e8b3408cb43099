// SPDX-License-Identifier: MIT
/*
 * Executes what is known to the instruction between marks, for the plugin that
 * counts: a loop, system calls, and a string instruction that repeats.
 */
#include <sys/syscall.h>
#include <unistd.h>

#include "../../src/bench/native/mark.h"

#define BYTES 100000

static char from[BYTES], to[BYTES];

static void loop(long times)
{
	__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(times));
}

static void copy(void)
{
	const char *source = from;
	char *target = to;
	long bytes = BYTES;

	__asm__ volatile("rep movsb"
			 : "+S"(source), "+D"(target), "+c"(bytes)
			 :
			 : "memory");
}

int main(void)
{
	/* what it touches is there by then */
	copy();
	loop(1);
	syscall(SYS_getppid);

	mark_begin();
	loop(1000000);
	mark_end();

	mark_begin();
	for (int i = 0; i < 1000; i++)
		syscall(SYS_getppid);
	mark_end();

	mark_begin();
	copy();
	mark_end();
	return 0;
}
