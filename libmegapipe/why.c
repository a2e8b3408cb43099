// SPDX-License-Identifier: MIT
/*
 * Why no channel could be made, in a sentence; and what is done about
 * RLIMIT_MEMLOCK, which is the usual reason.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine.h"

/*
 * The kernel gives back what the rings of an ended process held up to 50 ms
 * after its end, by measurement, and after more than a second where each CPU
 * has ten who want it.
 */
#define UNCHARGED_AFTER_US 1000000
#define TRY_AGAIN_US 2000
/* So long after waiting in vain a process doesn't wait again. */
#define NO_USE_US 10000000
/* 4 KiB of buffers' entries: fewer take as much. */
#define BUFFERS_LEAST 256
#define COMPLETIONS_LEAST 128

static _Thread_local char why[384];
static _Atomic int64_t in_vain_us;

const char *mp_why(void)
{
	return why;
}

void mp__why(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
}

void mp__why_clear(void)
{
	why[0] = 0;
}

/* ------------------------------------------------------- RLIMIT_MEMLOCK */

/* If nobody else had any. */
bool mp__memlock_allows(size_t bytes)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_MEMLOCK, &limit) || bytes <= limit.rlim_cur;
}

/*
 * Something didn't fit: wait for a moment, and try again if true. *until_us is
 * 0 at first.
 */
bool mp__memlock_wait(int64_t *until_us)
{
	int64_t now_us = mp__now_us(), vain_us = atomic_load(&in_vain_us);

	if (!*until_us && vain_us && now_us - vain_us < NO_USE_US)
		return false;
	if (!*until_us)
		*until_us = now_us + UNCHARGED_AFTER_US;
	if (now_us >= *until_us) {
		atomic_store(&in_vain_us, now_us);
		return false;
	}
	usleep(TRY_AGAIN_US);
	return true;
}

/* What is used now will be free soon: waiting for it makes sense. */
void mp__memlock_freed(void)
{
	atomic_store(&in_vain_us, 0);
}

/* False: they are as small as they can be. */
bool mp__memlock_shrink(struct mp_options *options)
{
	bool is_smaller = false;

	if (options->buffers > BUFFERS_LEAST) {
		options->buffers /= 2;
		is_smaller = true;
	}
	if (options->completions > COMPLETIONS_LEAST) {
		options->completions /= 2;
		is_smaller = true;
	}
	return is_smaller;
}

/* -ENOMEM for so many bytes, which RLIMIT_MEMLOCK counts if it is finite. */
void mp__why_no_memory(size_t bytes)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) ||
	    limit.rlim_cur == RLIM_INFINITY) {
		mp__why("the kernel has no memory for a channel's rings");
		return;
	}
	mp__why("RLIMIT_MEMLOCK is %llu KiB for all processes of user %u "
		"together, and has no room for %zu KiB more: raise it (ulimit "
		"-l, LimitMEMLOCK= of systemd), or use fewer channels",
		(unsigned long long)limit.rlim_cur / 1024,
		(unsigned int)getuid(), (bytes + 1023) / 1024);
}

/* ------------------------------------------------------ other refusals */

static int read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	int number = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%d", &number) != 1)
		number = -1;
	fclose(file);
	return number;
}

static void why_not_permitted(void)
{
	int disabled = read_number("/proc/sys/kernel/io_uring_disabled");

	if (disabled == 2)
		mp__why("io_uring is switched off for all processes: "
			"kernel.io_uring_disabled is 2");
	else if (disabled == 1)
		mp__why("io_uring is allowed to CAP_SYS_ADMIN and to group %d "
			"only: kernel.io_uring_disabled is 1, and "
			"kernel.io_uring_group names the group",
			read_number("/proc/sys/kernel/io_uring_group"));
	else
		mp__why("a seccomp filter (of a container, or of a systemd "
			"unit) or a security module refuses io_uring");
}

/* io_uring_setup() has failed. */
void mp__why_no_ring(int error)
{
	switch (error) {
	case EPERM:
	case EACCES:
		why_not_permitted();
		break;
	case ENOSYS:
		mp__why("this kernel is compiled without io_uring, or a "
			"seccomp filter hides it");
		break;
	case EINVAL:
		mp__why("this kernel's io_uring is too old: Linux 6.1 is "
			"needed");
		break;
	default:
		mp__why("io_uring_setup() has failed: %s", strerror(error));
	}
}

void mp__why_no_device(int error)
{
	switch (error) {
	case ENOENT:
	case ENXIO:
		mp__why("the MegaPipe kernel module isn't loaded: "
			"/dev/megapipe isn't there");
		break;
	case EACCES:
	case EPERM:
		mp__why("user %u may not open /dev/megapipe, by its mode",
			(unsigned int)geteuid());
		break;
	default:
		mp__why("/dev/megapipe can't be opened: %s", strerror(error));
	}
}
