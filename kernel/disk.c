// SPDX-License-Identifier: GPL-2.0
/*
 * Disk files: they are always ready, and may block all the same. What isn't in
 * memory is left to a worker, who borrows the process's memory.
 */
#include <linux/cred.h>
#include <linux/kthread.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "channel.h"
#include "features.h"

struct mp_disk {
	struct work_struct work;
	struct mp_handle *h;
	struct mp_lane *lane;
	struct mm_struct *mm;
	const struct cred *cred; /* the process's: rights are its own */
	struct iov_iter iter;
	struct iovec *heap;
	struct iovec fast[UIO_FASTIOV];
	loff_t offset; /* -1: at the file's position */
	bool has_buffer;
};

static struct workqueue_struct *mp_disk_queue;

static bool mp_is_write(const struct mp_disk *d)
{
	return d->lane->op == MEGAPIPE_OP_WRITE;
}

/* ------------------------------------------------------------------ I/O */

static ssize_t mp_write_file(struct file *file, struct iov_iter *iter,
			     loff_t *pos)
{
#ifdef HAVE_WRITE_STARTS_ITSELF
	return vfs_iter_write(file, iter, pos, 0);
#else
	ssize_t ret;

	file_start_write(file);
	ret = vfs_iter_write(file, iter, pos, 0);
	file_end_write(file);
	return ret;
#endif
}

/* All of it, the end of the file, or an error. */
static ssize_t mp_transfer(struct mp_disk *d, loff_t *pos)
{
	struct file *file = d->h->file;
	size_t wanted = iov_iter_count(&d->iter);
	ssize_t ret, done = 0;

	do {
		/* a limit may have cut it: the next try tells which */
		iov_iter_reexpand(&d->iter, wanted - done);
		ret = mp_is_write(d) ? mp_write_file(file, &d->iter, pos) :
				       vfs_iter_read(file, &d->iter, pos, 0);
		if (ret > 0)
			done += ret;
	} while (ret > 0 && done < wanted);
	if (ret < 0 && (mp_is_write(d) || !done))
		return ret;
	return done;
}

static ssize_t mp_transfer_at(struct mp_disk *d)
{
	struct file *file = d->h->file;
	loff_t pos = d->offset;
	ssize_t ret;

	if (pos >= 0)
		return mp_transfer(d, &pos);
	mutex_lock(&file->f_pos_lock);
	pos = file->f_pos;
	ret = mp_transfer(d, &pos);
	file->f_pos = pos;
	mutex_unlock(&file->f_pos_lock);
	return ret;
}

static void mp_disk_work(struct work_struct *work)
{
	struct mp_disk *d = container_of(work, struct mp_disk, work);
	const struct cred *worker = override_creds(d->cred);
	ssize_t ret = -EFAULT;

	/* not if the process is gone */
	if (mmget_not_zero(d->mm)) {
		kthread_use_mm(d->mm);
		ret = mp_transfer_at(d);
		kthread_unuse_mm(d->mm);
		/* the last user ends the channel, which waits for us */
		mmput_async(d->mm);
	}
	revert_creds(worker);
	d->lane->done = ret;
	/* with the result, for mp_look_at_lane() */
	smp_store_release(&d->lane->state, MP_DONE);
	mp_ready(d->h);
}

/* ---------------------------------------------------------------- import */

static int mp_import_vector(struct mp_disk *d, u64 vector, u32 count)
{
	unsigned int direction = mp_is_write(d) ? ITER_SOURCE : ITER_DEST;
	ssize_t ret;

	d->heap = d->fast;
	ret = import_iovec(direction, u64_to_user_ptr(vector), count,
			   UIO_FASTIOV, &d->heap, &d->iter);
	if (ret < 0)
		d->heap = NULL;
	return ret < 0 ? ret : 0;
}

static int mp_import_at(struct mp_disk *d)
{
	struct megapipe_at at;

	if (copy_from_user(&at, u64_to_user_ptr(d->lane->addr), sizeof(at)))
		return -EFAULT;
	if (at.reserved || at.offset < -1)
		return -EINVAL;
	d->offset = at.offset;
	return mp_import_vector(d, at.vector, at.count);
}

static int mp_import_plain(struct mp_disk *d, u64 value, size_t len)
{
	void __user *addr = u64_to_user_ptr(value);

	if (!access_ok(addr, len))
		return -EFAULT;
	iov_iter_ubuf(&d->iter, mp_is_write(d) ? ITER_SOURCE : ITER_DEST, addr,
		      len);
	return 0;
}

/* The buffer is taken before there is something in it. */
static int mp_import_buffer(struct mp_disk *d)
{
	struct mp_channel *ch = d->h->ch;
	int ret = mp_buffer_take(ch, &d->lane->info);

	if (ret)
		return ret;
	d->has_buffer = true;
	return mp_import_plain(d, mp_buffer_addr(ch, d->lane->info),
			       ch->buffers.size);
}

static int mp_import(struct mp_disk *d)
{
	const struct mp_lane *lane = d->lane;

	d->offset = -1;
	if (lane->op == MEGAPIPE_OP_RECV)
		return mp_import_buffer(d);
	if (lane->flags & MEGAPIPE_F_AT)
		return mp_import_at(d);
	if (lane->flags & MEGAPIPE_F_VECTOR)
		return mp_import_vector(d, lane->addr, lane->len);
	return mp_import_plain(d, lane->addr,
			       min_t(size_t, lane->len, MAX_RW_COUNT));
}

/* ---------------------------------------------------------- beginning, end */

/*
 * A limit on the size of files is the process's, and so is the signal that goes
 * with it: then it has to wait itself. So it does for an empty transfer, that
 * is over at once.
 */
static bool mp_must_be_process(const struct mp_disk *d)
{
	return !iov_iter_count(&d->iter) ||
	       (mp_is_write(d) && rlimit(RLIMIT_FSIZE) != RLIM_INFINITY);
}

/* What is in memory already costs no worker. */
static bool mp_read_from_memory(struct mp_disk *d, ssize_t *result)
{
	size_t wanted = iov_iter_count(&d->iter);
	struct file *file = d->h->file;
	struct iov_iter iter = d->iter;
	struct kiocb kiocb;

	if (mp_is_write(d) || d->offset < 0 || !file->f_op->read_iter ||
	    !(file->f_mode & FMODE_NOWAIT))
		return false;
	init_sync_kiocb(&kiocb, file);
	kiocb.ki_pos = d->offset;
	kiocb.ki_flags |= IOCB_NOWAIT;
	*result = vfs_iocb_iter_read(file, &kiocb, &iter);
	return *result == wanted;
}

static void mp_disk_done(struct mp_lane *lane, ssize_t result)
{
	lane->done = result;
	lane->state = MP_DONE;
}

void mp_disk_start(struct mp_handle *h, struct mp_lane *lane)
{
	struct mp_disk *d = kzalloc(sizeof(*d), GFP_KERNEL_ACCOUNT);
	ssize_t ret;

	if (!d) {
		mp_disk_done(lane, -ENOMEM);
		return;
	}
	d->h = h;
	d->lane = lane;
	d->mm = h->ch->mm;
	d->cred = get_current_cred();
	INIT_WORK(&d->work, mp_disk_work);
	lane->disk = d;
	ret = mp_import(d);
	if (ret) {
		mp_disk_done(lane, ret);
	} else if (mp_must_be_process(d)) {
		mp_disk_done(lane, mp_transfer_at(d));
	} else if (mp_read_from_memory(d, &ret)) {
		mp_disk_done(lane, ret);
	} else {
		lane->state = MP_WORKING;
		queue_work(mp_disk_queue, &d->work);
	}
}

/* Nothing of it is going on any more on return. */
void mp_disk_free(struct mp_lane *lane)
{
	struct mp_disk *d = lane->disk;

	cancel_work_sync(&d->work);
	put_cred(d->cred);
	kfree(d->heap);
	kfree(d);
	lane->disk = NULL;
}

/* By the channel's thread, before it tells. */
void mp_disk_end(struct mp_handle *h, struct mp_lane *lane)
{
	if (lane->disk->has_buffer && lane->done <= 0)
		mp_buffer_give(h->ch, lane->info);
	mp_disk_free(lane);
}

int mp_disk_init(void)
{
	mp_disk_queue = alloc_workqueue("megapipe_disk", WQ_UNBOUND, 0);
	return mp_disk_queue ? 0 : -ENOMEM;
}

void mp_disk_exit(void)
{
	destroy_workqueue(mp_disk_queue);
}
