// SPDX-License-Identifier: GPL-2.0
/*
 * The socket calls on a handle, which may have no descriptor.
 */
#include <linux/compat.h>
#include <linux/uaccess.h>
#include <net/sock.h>

#include "channel.h"
#include "features.h"

u32 mp_socket_features(void)
{
#ifdef HAVE_DO_SOCK_GETSOCKOPT
	return MEGAPIPE_FEATURE_GETSOCKOPT;
#else
	return 0;
#endif
}

static int mp_set(struct socket *sock, const struct megapipe_socket *call)
{
	sockptr_t value = USER_SOCKPTR(u64_to_user_ptr(call->value));

#ifdef HAVE_DO_SOCK_GETSOCKOPT
	return do_sock_setsockopt(sock, in_compat_syscall(), call->level,
				  call->name, value, call->len);
#else
	if (call->level == SOL_SOCKET)
		return sock_setsockopt(sock, call->level, call->name, value,
				       call->len);
	if (!sock->ops->setsockopt)
		return -EOPNOTSUPP;
	return sock->ops->setsockopt(sock, call->level, call->name, value,
				     call->len);
#endif
}

static int mp_get(struct socket *sock, const struct megapipe_socket *call,
		  struct megapipe_socket __user *arg)
{
#ifdef HAVE_DO_SOCK_GETSOCKOPT
	return do_sock_getsockopt(sock, in_compat_syscall(), call->level,
				  call->name,
				  USER_SOCKPTR(u64_to_user_ptr(call->value)),
				  USER_SOCKPTR(&arg->len));
#else
	if (call->level == SOL_SOCKET)
		return -ENOSYS;
	if (!sock->ops->getsockopt)
		return -EOPNOTSUPP;
	return sock->ops->getsockopt(sock, call->level, call->name,
				     u64_to_user_ptr(call->value),
				     (int __user *)&arg->len);
#endif
}

static int mp_name(struct socket *sock, const struct megapipe_socket *call,
		   struct megapipe_socket __user *arg)
{
	bool is_peer = call->call == MEGAPIPE_GETPEERNAME;
	struct sockaddr_storage name = {};
	int len = READ_ONCE(sock->ops)->getname(sock, (struct sockaddr *)&name,
						is_peer);

	if (len < 0)
		return len;
	if (copy_to_user(u64_to_user_ptr(call->value), &name,
			 min_t(u32, len, call->len)))
		return -EFAULT;
	return put_user(len, &arg->len);
}

int mp_socket_call(struct mp_channel *ch, struct megapipe_socket __user *arg)
{
	struct megapipe_socket call;
	struct mp_handle *h;

	if (copy_from_user(&call, arg, sizeof(call)))
		return -EFAULT;
	if (call.reserved || call.len > INT_MAX)
		return -EINVAL;
	h = mp_lookup(ch, call.handle);
	if (!h || h->is_closing)
		return -EBADF;
	/* a descriptor's calls are those that security modules watch */
	if (call.handle & MEGAPIPE_HANDLE_FILE)
		return -EINVAL;
	switch (call.call) {
	case MEGAPIPE_SETSOCKOPT:
		return mp_set(h->sock, &call);
	case MEGAPIPE_GETSOCKOPT:
		return mp_get(h->sock, &call, arg);
	case MEGAPIPE_GETSOCKNAME:
	case MEGAPIPE_GETPEERNAME:
		return call.level || call.name ? -EINVAL :
						 mp_name(h->sock, &call, arg);
	default:
		return -EINVAL;
	}
}
