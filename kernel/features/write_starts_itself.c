// SPDX-License-Identifier: GPL-2.0
/*
 * vfs_iter_write() protects itself against freezing (6.8). The change itself
 * shows in no header; this function came with it.
 */
#include <linux/fs.h>

bool mp_feature(const struct file *file);
bool mp_feature(const struct file *file)
{
	return file_write_not_started(file);
}
