// SPDX-License-Identifier: GPL-2.0
/*
 * recvmsg() and sendmsg(): struct msghdr as the process has it, with addresses
 * and control messages.
 */
#include <linux/compat.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <net/compat.h>

#include "channel.h"

#define MP_RECV_FLAGS                                                  \
	(MSG_OOB | MSG_PEEK | MSG_TRUNC | MSG_WAITALL | MSG_ERRQUEUE | \
	 MSG_CMSG_CLOEXEC | MSG_DONTWAIT)
#define MP_SEND_FLAGS                                                 \
	(MSG_OOB | MSG_DONTROUTE | MSG_EOR | MSG_CONFIRM | MSG_MORE | \
	 MSG_NOSIGNAL | MSG_DONTWAIT)
/* As long as sendmsg() takes where nobody has raised the limit. */
#define MP_CONTROL_MAX 20480

/* A message, from the process's header to the kernel's. */
struct mp_message {
	struct msghdr msg;
	struct user_msghdr user; /* as if from a 64-bit process */
	struct sockaddr_storage name;
	struct iovec fast[UIO_FASTIOV];
	struct iovec *heap;
};

static int mp_copy_header(struct user_msghdr *user, u64 addr)
{
#ifdef CONFIG_COMPAT
	struct compat_msghdr compat;

	if (in_compat_syscall()) {
		if (copy_from_user(&compat, u64_to_user_ptr(addr),
				   sizeof(compat)))
			return -EFAULT;
		*user = (struct user_msghdr){
			.msg_name = compat_ptr(compat.msg_name),
			.msg_namelen = compat.msg_namelen,
			.msg_iov = compat_ptr(compat.msg_iov),
			.msg_iovlen = compat.msg_iovlen,
			.msg_control = compat_ptr(compat.msg_control),
			.msg_controllen = compat.msg_controllen,
		};
		return 0;
	}
#endif
	if (copy_from_user(user, u64_to_user_ptr(addr), sizeof(*user)))
		return -EFAULT;
	return 0;
}

static int mp_import_message(struct mp_message *m, u64 addr,
			     unsigned int direction)
{
	int ret = mp_copy_header(&m->user, addr);

	if (ret)
		return ret;
	if (m->user.msg_namelen < 0)
		return -EINVAL;
	if (!m->user.msg_name)
		m->user.msg_namelen = 0;
	m->user.msg_namelen = min_t(int, m->user.msg_namelen, sizeof(m->name));
	if (m->user.msg_iovlen > UIO_MAXIOV)
		return -EMSGSIZE;
	m->heap = m->fast;
	ret = import_iovec(direction,
			   (const struct iovec __user *)m->user.msg_iov,
			   m->user.msg_iovlen, UIO_FASTIOV, &m->heap,
			   &m->msg.msg_iter);
	if (ret < 0)
		m->heap = NULL;
	return ret < 0 ? ret : 0;
}

/* --------------------------------------------------------------- sending */

static int mp_import_name(struct mp_message *m)
{
	if (!m->user.msg_namelen)
		return 0;
	if (copy_from_user(&m->name, m->user.msg_name, m->user.msg_namelen))
		return -EFAULT;
	m->msg.msg_name = &m->name;
	m->msg.msg_namelen = m->user.msg_namelen;
	return 0;
}

/* *control is to be freed. */
static int mp_import_control(struct mp_message *m, void **control)
{
	size_t len = m->user.msg_controllen;

	if (!len || !m->user.msg_control)
		return 0;
	if (len > MP_CONTROL_MAX)
		return -ENOBUFS;
	/* cmsghdr has another shape there, which only sendmsg() converts */
	if (in_compat_syscall())
		return -EOPNOTSUPP;
	*control = memdup_user(m->user.msg_control, len);
	if (IS_ERR(*control)) {
		int ret = PTR_ERR(*control);

		*control = NULL;
		return ret;
	}
	m->msg.msg_control = *control;
	m->msg.msg_controllen = len;
	return 0;
}

ssize_t mp_try_sendmsg(struct mp_handle *h, struct mp_lane *lane)
{
	struct mp_message m = {};
	void *control = NULL;
	ssize_t ret;

	if (lane->arg & ~MP_SEND_FLAGS)
		return -EINVAL;
	ret = mp_import_message(&m, lane->addr, ITER_SOURCE);
	if (!ret)
		ret = mp_import_name(&m);
	if (!ret)
		ret = mp_import_control(&m, &control);
	if (!ret) {
		m.msg.msg_flags = lane->arg | MSG_DONTWAIT | MSG_NOSIGNAL;
		ret = mp_no_restart(sock_sendmsg(h->sock, &m.msg));
	}
	kfree(control);
	kfree(m.heap);
	return ret;
}

/* ------------------------------------------------------------- receiving */

static int mp_export_name(const struct mp_message *m)
{
	int len = min(m->msg.msg_namelen, m->user.msg_namelen);

	if (!m->user.msg_name)
		return 0;
	return copy_to_user(m->user.msg_name, &m->name, len) ? -EFAULT : 0;
}

/* The members that recvmsg() changes. */
static int mp_export_header(const struct mp_message *m, u64 addr)
{
	unsigned int flags = m->msg.msg_flags & ~MSG_CMSG_COMPAT;
	size_t control = (unsigned long)m->msg.msg_control_user -
			 (unsigned long)m->user.msg_control;
	int namelen = m->user.msg_name ? m->msg.msg_namelen : 0;
	struct user_msghdr __user *user = u64_to_user_ptr(addr);
#ifdef CONFIG_COMPAT
	struct compat_msghdr __user *compat = u64_to_user_ptr(addr);

	if (in_compat_syscall())
		return put_user(namelen, &compat->msg_namelen) ||
		       put_user(control, &compat->msg_controllen) ||
		       put_user(flags, &compat->msg_flags);
#endif
	return put_user(namelen, &user->msg_namelen) ||
	       put_user(control, &user->msg_controllen) ||
	       put_user(flags, &user->msg_flags);
}

ssize_t mp_try_recvmsg(struct mp_handle *h, struct mp_lane *lane)
{
	struct mp_message m = {};
	int flags = lane->arg | MSG_DONTWAIT;
	ssize_t ret;

	if (lane->arg & ~MP_RECV_FLAGS)
		return -EINVAL;
	ret = mp_import_message(&m, lane->addr, ITER_DEST);
	if (ret)
		return ret;
	if (m.user.msg_name)
		m.msg.msg_name = &m.name;
	m.msg.msg_control_is_user = true;
	m.msg.msg_control_user = m.user.msg_control;
	m.msg.msg_controllen = m.user.msg_control ? m.user.msg_controllen : 0;
	if (in_compat_syscall())
		m.msg.msg_flags = MSG_CMSG_COMPAT;
	m.msg.msg_flags |= flags & (MSG_CMSG_CLOEXEC | MSG_CMSG_COMPAT);
	ret = mp_no_restart(sock_recvmsg(h->sock, &m.msg, flags));
	kfree(m.heap);
	if (ret >= 0 &&
	    (mp_export_name(&m) || mp_export_header(&m, lane->addr)))
		return -EFAULT;
	return ret;
}
