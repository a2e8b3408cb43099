/* SPDX-License-Identifier: MIT */
/* What the kernel tells about itself, and takes. Programs have it alone. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdbool.h>

/* Its first bytes, or NULL; valid until the next call. */
const char *read_text(const char *path);
bool write_text(const char *path, const char *text);
/* The number there, or -1. */
long read_number(const char *path);
/* What stands behind a name in a file of names and numbers; -1: nothing. */
long number_in(const char *path, const char *name);

/* Objects in use of a slab cache, -1 where it is not to be seen by itself. */
long slab_objects(const char *cache);

long module_users(void);
/* Until so many open files, or what is left of them, use the module. */
void await_module_users(long count);

#endif
