// SPDX-License-Identifier: GPL-2.0
/* accepting a connection into a socket and a file of its own */
#include <linux/file.h>
#include <net/inet_connection_sock.h>
#include <net/sock.h>
#include <net/tcp.h>

struct file *mp_need(const struct socket *listener, struct sock *sk);
struct file *mp_need(const struct socket *listener, struct sock *sk)
{
	struct socket *sock = sock_alloc();

	sock->ops = listener->ops;
	sk->sk_uid = SOCK_INODE(sock)->i_uid;
	sock_graft(sk, sock);
	if (reqsk_queue_empty(&inet_csk(sk)->icsk_accept_queue) ||
	    sk->sk_prot->recvmsg != tcp_prot.recvmsg)
		return NULL;
	return sock_alloc_file(sock, 0, sk->sk_prot_creator->name);
}
