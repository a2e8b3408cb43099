// SPDX-License-Identifier: MIT
/*
 * Engine kernel: the place of the MegaPipe module, /dev/megapipe, which this
 * version of the library can't talk to yet.
 */
#include <errno.h>
#include <unistd.h>

#include "engine.h"

static int kernel_error(void)
{
	return access("/dev/megapipe", F_OK) ? -ENODEV : -ENOSYS;
}

static int kernel_probe(struct mp_engine_info *info)
{
	(void)info;
	return kernel_error();
}

static int kernel_create(struct mp_channel *ch)
{
	(void)ch;
	return kernel_error();
}

const struct mp__engine mp__engine_kernel = {
	.name = "kernel",
	.probe = kernel_probe,
	.create = kernel_create,
};
