// SPDX-License-Identifier: GPL-2.0
/*
 * Reading and writing, without waiting.
 */
#include <linux/uaccess.h>
#include <net/tcp.h>

#include "channel.h"

/*
 * What reading brings where there is no byte to read: -EAGAIN, 0 at the end, or
 * the socket's error; 1: it must be tried. Much cheaper than that; what comes
 * after it wakes us.
 */
static int mp_look_for_bytes(struct sock *sk)
{
	const struct tcp_sock *tp = tcp_sk(sk);
	u32 left;
	int state;

	if (!mp_is_plain_tcp(sk))
		return 1;
	/* of the other side's end, with its place in the sequence */
	state = inet_sk_state_load(sk);
	left = READ_ONCE(tp->rcv_nxt) - READ_ONCE(tp->copied_seq);
	if (READ_ONCE(sk->sk_err)) {
		if (state != TCP_CLOSE || left || sock_flag(sk, SOCK_DONE))
			return 1;
		/* a reset: no byte comes any more, and no end came before */
		return sock_error(sk);
	}
	if (state == TCP_ESTABLISHED && !left && !READ_ONCE(sk->sk_shutdown))
		return -EAGAIN;
	/* nothing but the end, which counts as one, or was read before */
	return state == TCP_CLOSE_WAIT && left <= 1 ? 0 : 1;
}

/* Where to read to or write from. */
struct mp_memory {
	struct iov_iter iter;
	struct iovec fast[UIO_FASTIOV];
	struct iovec *heap; /* to be freed */
	unsigned int count;
};

static int mp_import(struct mp_memory *m, const struct mp_lane *lane,
		     unsigned int direction)
{
	void __user *addr = u64_to_user_ptr(lane->addr);
	ssize_t ret;

	m->heap = NULL;
	if (lane->flags & MEGAPIPE_F_VECTOR) {
		m->count = lane->len;
		m->heap = m->fast;
		ret = import_iovec(direction, addr, lane->len, UIO_FASTIOV,
				   &m->heap, &m->iter);
		return ret < 0 ? ret : 0;
	}
	m->count = 1;
	m->fast[0].iov_base = addr;
	m->fast[0].iov_len = min_t(size_t, lane->len, MAX_RW_COUNT);
	if (!access_ok(addr, m->fast[0].iov_len))
		return -EFAULT;
	iov_iter_ubuf(&m->iter, direction, addr, m->fast[0].iov_len);
	return 0;
}

/* The part that comes after so many bytes. */
static struct iovec mp_part(const struct mp_memory *m, size_t done)
{
	const struct iovec *part = m->heap ? m->heap : m->fast;

	for (unsigned int i = 0; i < m->count; i++, part++) {
		if (done < part->iov_len)
			return (struct iovec){
				part->iov_base + done,
				min(part->iov_len - done,
				    iov_iter_count(&m->iter)),
			};
		done -= part->iov_len;
	}
	return (struct iovec){};
}

/*
 * Older files know one buffer only: they get the first part that is left. What
 * vfs_read() and vfs_write() check is checked here.
 */
static ssize_t mp_read_old_file(struct file *file, const struct mp_memory *m)
{
	struct iovec part = mp_part(m, 0);
	loff_t pos = 0;
	int ret;

	if (!(file->f_mode & FMODE_READ))
		return -EBADF;
	if (!file->f_op->read)
		return -EINVAL;
	if (!access_ok(part.iov_base, part.iov_len))
		return -EFAULT;
	ret = rw_verify_area(READ, file, &pos, part.iov_len);
	if (ret)
		return ret;
	return file->f_op->read(file, part.iov_base, part.iov_len, &pos);
}

static ssize_t mp_write_old_file(struct file *file, const struct mp_memory *m,
				 size_t done)
{
	struct iovec part = mp_part(m, done);
	loff_t pos = 0;
	int ret;

	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (!file->f_op->write)
		return -EINVAL;
	if (!access_ok(part.iov_base, part.iov_len))
		return -EFAULT;
	ret = rw_verify_area(WRITE, file, &pos, part.iov_len);
	if (ret)
		return ret;
	return file->f_op->write(file, part.iov_base, part.iov_len, &pos);
}

/* Most transfers: one buffer, one socket. */
static ssize_t mp_receive_into(struct socket *sock, u64 value, size_t len)
{
	void __user *addr = u64_to_user_ptr(value);
	struct msghdr msg = {};

	if (!access_ok(addr, len))
		return -EFAULT;
	iov_iter_ubuf(&msg.msg_iter, ITER_DEST, addr, len);
	return mp_no_restart(sock_recvmsg(sock, &msg, MSG_DONTWAIT));
}

static ssize_t mp_send_from(struct socket *sock, u64 value, size_t len)
{
	void __user *addr = u64_to_user_ptr(value);
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };

	if (!access_ok(addr, len))
		return -EFAULT;
	iov_iter_ubuf(&msg.msg_iter, ITER_SOURCE, addr, len);
	return mp_no_restart(sock_sendmsg(sock, &msg));
}

static bool mp_is_plain(const struct mp_handle *h, const struct mp_lane *lane)
{
	return h->sock && !lane->flags && lane->len <= MAX_RW_COUNT;
}

static ssize_t mp_receive(struct mp_handle *h, struct mp_memory *m)
{
	loff_t pos = 0;

	if (h->sock) {
		struct msghdr msg = { .msg_iter = m->iter };

		return sock_recvmsg(h->sock, &msg, MSG_DONTWAIT);
	}
	if (!h->file->f_op->read_iter)
		return mp_read_old_file(h->file, m);
	return vfs_iter_read(h->file, &m->iter, &pos, 0);
}

static ssize_t mp_send(struct mp_handle *h, struct mp_memory *m, size_t done)
{
	loff_t pos = 0;

	if (h->sock) {
		struct msghdr msg = {
			.msg_iter = m->iter,
			.msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL,
		};

		return sock_sendmsg(h->sock, &msg);
	}
	if (!h->file->f_op->write_iter)
		return mp_write_old_file(h->file, m, done);
	return vfs_iter_write(h->file, &m->iter, &pos, 0);
}

static noinline ssize_t mp_read_parts(struct mp_handle *h,
				      const struct mp_lane *lane)
{
	struct mp_memory m;
	ssize_t ret;

	ret = mp_import(&m, lane, ITER_DEST);
	if (ret)
		return ret;
	ret = mp_receive(h, &m);
	kfree(m.heap);
	return mp_no_restart(ret);
}

ssize_t mp_try_read(struct mp_handle *h, struct mp_lane *lane)
{
	if (h->sock) {
		int nothing = mp_look_for_bytes(h->sock->sk);

		if (nothing <= 0)
			return nothing;
	}
	if (mp_is_plain(h, lane))
		return mp_receive_into(h->sock, lane->addr, lane->len);
	return mp_read_parts(h, lane);
}

/* ---------------------------------------------------------------- buffers */

/*
 * The process's thread gives buffers back while we are not in an ioctl: so how
 * many are free is read once in each, and written once.
 */
static noinline int mp_count_buffers(struct mp_buffers *b)
{
	if (!b->count)
		return -ENOBUFS;
	if (get_user(b->nfree, &b->free->count))
		return -EFAULT;
	if (b->nfree > b->count)
		return -EFAULT;
	b->is_known = true;
	return 0;
}

void mp_buffers_settle(struct mp_channel *ch)
{
	struct mp_buffers *b = &ch->buffers;

	if (b->is_known && put_user(b->nfree, &b->free->count))
		ch->room.is_faulty = true;
	b->is_known = false;
}

static u64 mp_buffer_addr(const struct mp_channel *ch, u32 buffer)
{
	return ch->buffers.memory + (u64)buffer * ch->buffers.stride;
}

static inline int mp_take(struct mp_buffers *b, u32 *buffer)
{
	int ret = b->is_known ? 0 : mp_count_buffers(b);

	if (ret)
		return ret;
	if (!b->nfree)
		return -ENOBUFS;
	if (get_user(*buffer, &b->free->numbers[b->nfree - 1]) ||
	    *buffer >= b->count)
		return -EFAULT;
	b->nfree--;
	return 0;
}

static noinline ssize_t mp_recv_from_file(struct mp_handle *h, u64 addr,
					  u32 size)
{
	struct mp_lane into = { .addr = addr, .len = size };

	return mp_read_parts(h, &into);
}

ssize_t mp_try_recv(struct mp_handle *h, struct mp_lane *lane)
{
	struct mp_channel *ch = h->ch;
	ssize_t ret;
	u64 addr;

	if (h->sock) {
		ret = mp_look_for_bytes(h->sock->sk);
		if (ret <= 0)
			return ret;
	}
	ret = mp_take(&ch->buffers, &lane->info);
	if (ret)
		return ret;
	addr = mp_buffer_addr(ch, lane->info);
	if (h->sock)
		ret = mp_receive_into(h->sock, addr, ch->buffers.size);
	else
		ret = mp_recv_from_file(h, addr, ch->buffers.size);
	/* its number is on top still */
	if (ret <= 0)
		ch->buffers.nfree++;
	return ret;
}

/* ---------------------------------------------------------------- writing */

static noinline ssize_t mp_write_parts(struct mp_handle *h,
				       struct mp_lane *lane)
{
	struct mp_memory m;
	size_t left;
	ssize_t ret;

	do {
		ret = mp_import(&m, lane, ITER_SOURCE);
		if (ret)
			return ret;
		if (lane->done)
			iov_iter_advance(&m.iter, lane->done);
		left = iov_iter_count(&m.iter);
		ret = mp_send(h, &m, lane->done);
		kfree(m.heap);
		if (ret < 0)
			return mp_no_restart(ret);
		lane->done += ret;
	} while (ret && ret < left && h->kind != MEGAPIPE_KIND_MESSAGES);
	return lane->done;
}

/* Until all of it is written. lane->done says what is, when it has to wait. */
ssize_t mp_try_write(struct mp_handle *h, struct mp_lane *lane)
{
	ssize_t ret;
	size_t left;

	if (!mp_is_plain(h, lane))
		return mp_write_parts(h, lane);
	do {
		left = lane->len - lane->done;
		ret = mp_send_from(h->sock, lane->addr + lane->done, left);
		if (ret < 0)
			return ret;
		lane->done += ret;
	} while (ret && ret < left && h->kind != MEGAPIPE_KIND_MESSAGES);
	return lane->done;
}
