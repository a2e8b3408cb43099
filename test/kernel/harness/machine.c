/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <poll.h>

#include "check.h"
#include "machine.h"

const char *read_text(const char *path)
{
	static char text[65536];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t size = 0;
	ssize_t got;

	if (fd < 0)
		return NULL;
	while ((got = read(fd, text + size, sizeof(text) - 1 - size)) > 0)
		size += got;
	close(fd);
	text[size] = '\0';
	return got < 0 ? NULL : text;
}

bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t size = strlen(text);
	bool done = fd >= 0 && write(fd, text, size) == size;

	if (fd >= 0)
		close(fd);
	return done;
}

long read_number(const char *path)
{
	const char *text = read_text(path);

	return text ? strtol(text, NULL, 10) : -1;
}

long number_in(const char *path, const char *name)
{
	const char *at = read_text(path);
	size_t length = strlen(name);

	while (at && *at) {
		if (strncmp(at, name, length) == 0 && at[length] == ' ')
			return strtol(at + length, NULL, 10);
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	return -1;
}

/*
 * SLUB counts what a CPU keeps for itself as in use: shrinking makes it give
 * that back.
 */
long slab_objects(const char *cache)
{
	char path[200];

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", cache);
	write_text(path, "1");
	return number_in("/proc/slabinfo", cache);
}

long module_users(void)
{
	return read_number("/sys/module/megapipe/refcnt");
}

void await_module_users(long count)
{
	while (module_users() != count)
		poll(NULL, 0, 5);
}
