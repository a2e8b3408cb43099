// SPDX-License-Identifier: GPL-2.0
/* reading, writing and closing the files of a process */
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/net.h>
#include <linux/uio.h>

int mp_need(struct iov_iter *iter, void __user *to, loff_t *pos);
int mp_need(struct iov_iter *iter, void __user *to, loff_t *pos)
{
	struct files_struct *files = current->files;
	struct file *file = files_lookup_fd_locked(files, 0);

	iov_iter_ubuf(iter, ITER_DEST, to, 1);
	if (sock_from_file(file) || rw_verify_area(READ, file, pos, 1) ||
	    vfs_iter_read(file, iter, pos, 0) < 0)
		return -1;
	rcu_assign_pointer(files_fdtable(files)->fd[0], NULL);
	put_unused_fd(0);
	return filp_close(file, files);
}
