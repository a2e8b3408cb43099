// SPDX-License-Identifier: GPL-2.0
/*
 * The device: open files that become channels, and their ioctls.
 */
#include <linux/compat.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "channel.h"

/* Copy in, do, copy out what the call has changed. */
#define MP_COPY_IN(to, arg) \
	(copy_from_user(&(to), (arg), sizeof(to)) ? -EFAULT : 0)
#define MP_COPY_OUT(arg, from) \
	(copy_to_user((arg), &(from), sizeof(from)) ? -EFAULT : 0)

static int mp_ioctl_info(void __user *arg)
{
	struct megapipe_info info = {
		.version = MEGAPIPE_ABI_VERSION,
		.features = mp_socket_features(),
	};

	if (!mp_lwsocket_file)
		info.features |= MEGAPIPE_FEATURE_LWSOCKET;
	return MP_COPY_OUT(arg, info);
}

static int mp_check_setup(struct megapipe_setup *setup, void __user *arg)
{
	if (setup->version != MEGAPIPE_ABI_VERSION) {
		setup->version = MEGAPIPE_ABI_VERSION;
		if (copy_to_user(arg, setup, sizeof(*setup)))
			return -EFAULT;
		return -EPROTO;
	}
	if (setup->flags || setup->reserved ||
	    setup->max_lwsockets > MEGAPIPE_LWSOCKETS_MAX)
		return -EINVAL;
	return 0;
}

static int mp_ioctl_setup(struct file *file, void __user *arg)
{
	struct megapipe_setup setup;
	struct mp_channel *ch;
	int ret = MP_COPY_IN(setup, arg);

	if (ret)
		return ret;
	ret = mp_check_setup(&setup, arg);
	if (ret)
		return ret;
	ch = mp_channel_new(setup.max_lwsockets);
	if (IS_ERR(ch))
		return PTR_ERR(ch);
	if (cmpxchg(&file->private_data, NULL, ch)) {
		mp_channel_free(ch);
		return -EBUSY;
	}
	return 0;
}

static int mp_ioctl_buffers(struct mp_channel *ch, void __user *arg)
{
	struct megapipe_buffers buffers;
	int ret;

	if (!ch)
		return -ENOTCONN;
	if (ch->mm != current->mm)
		return -EPERM;
	ret = MP_COPY_IN(buffers, arg);
	return ret ? ret : mp_channel_buffers(ch, &buffers);
}

static int mp_ioctl_register(struct mp_channel *ch, void __user *arg)
{
	struct megapipe_register reg;
	struct mp_handle *h;
	int ret = MP_COPY_IN(reg, arg);

	if (ret)
		return ret;
	ret = mp_register(ch, &reg);
	if (ret)
		return ret;
	ret = MP_COPY_OUT(arg, reg);
	h = mp_lookup(ch, reg.handle);
	if (ret && h)
		mp_handle_end(h);
	return ret;
}

static int mp_ioctl_run(struct mp_channel *ch, void __user *arg)
{
	struct megapipe_run run;
	int ret = MP_COPY_IN(run, arg), copied;

	if (ret)
		return ret;
	ret = mp_run(ch, &run);
	copied = MP_COPY_OUT(arg, run);
	return copied ? copied : ret;
}

static int mp_ioctl_fd(struct mp_channel *ch, void __user *arg)
{
	struct megapipe_fd fd;
	struct mp_handle *h;
	int ret = MP_COPY_IN(fd, arg);

	if (ret)
		return ret;
	if (fd.reserved)
		return -EINVAL;
	h = mp_lookup(ch, fd.handle);
	if (!h)
		return -EBADF;
	if (fd.handle & MEGAPIPE_HANDLE_FILE)
		return -EINVAL;
	return mp_lwsocket_fd(h);
}

static int mp_ioctl_stats(struct mp_channel *ch, void __user *arg)
{
	ch->stats.files = ch->files_table.used;
	ch->stats.lwsockets = ch->lwsockets.used;
	return MP_COPY_OUT(arg, ch->stats);
}

/* One channel, one thread, one program. */
static int mp_check_owner(struct mp_channel *ch)
{
	struct task_struct *task;

	if (!ch)
		return -ENOTCONN;
	if (ch->mm != current->mm)
		return -EPERM;
	task = smp_load_acquire(&ch->task);
	if (unlikely(!task))
		task = mp_channel_take(ch);
	if (task != current)
		return -EPERM;
	return ch->has_ended ? -ESHUTDOWN : 0;
}

static long mp_ioctl_of_owner(struct mp_channel *ch, unsigned int cmd,
			      void __user *arg)
{
	int ret = mp_check_owner(ch);

	if (ret)
		return ret;
	switch (cmd) {
	case MEGAPIPE_IOC_RUN:
		return mp_ioctl_run(ch, arg);
	case MEGAPIPE_IOC_REGISTER:
		return mp_ioctl_register(ch, arg);
	case MEGAPIPE_IOC_FD:
		return mp_ioctl_fd(ch, arg);
	case MEGAPIPE_IOC_SOCKET:
		return mp_socket_call(ch, arg);
	case MEGAPIPE_IOC_STATS:
		return mp_ioctl_stats(ch, arg);
	default: /* MEGAPIPE_IOC_END */
		mp_channel_end(ch);
		return 0;
	}
}

static long mp_ioctl(struct file *file, unsigned int cmd, unsigned long value)
{
	struct mp_channel *ch = READ_ONCE(file->private_data);
	void __user *arg = (void __user *)value;

	switch (cmd) {
	case MEGAPIPE_IOC_INFO:
		return mp_ioctl_info(arg);
	case MEGAPIPE_IOC_SETUP:
		return ch ? -EBUSY : mp_ioctl_setup(file, arg);
	case MEGAPIPE_IOC_BUFFERS:
		return mp_ioctl_buffers(ch, arg);
	case MEGAPIPE_IOC_RUN:
	case MEGAPIPE_IOC_REGISTER:
	case MEGAPIPE_IOC_FD:
	case MEGAPIPE_IOC_SOCKET:
	case MEGAPIPE_IOC_STATS:
	case MEGAPIPE_IOC_END:
		return mp_ioctl_of_owner(ch, cmd, arg);
	default:
		return -ENOTTY;
	}
}

static int mp_open(struct inode *inode, struct file *file)
{
	/* misc_open() leaves the device there */
	file->private_data = NULL;
	return nonseekable_open(inode, file);
}

static int mp_release(struct inode *inode, struct file *file)
{
	struct mp_channel *ch = file->private_data;

	if (ch)
		mp_channel_free(ch);
	return 0;
}

const struct file_operations mp_device_fops = {
	.owner = THIS_MODULE,
	.open = mp_open,
	.release = mp_release,
	.unlocked_ioctl = mp_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
