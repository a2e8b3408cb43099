
/*
 * Calls that nginx makes on files and on descriptors of its own only, and
 * modules of others on connections too. They come here as those of
 * ngx_megapipe_sockets.c do.
 */

#include <ngx_megapipe.h>
#include <sys/sendfile.h>
#include <sys/uio.h>


ssize_t __real_read(int fd, void *buf, size_t size);
ssize_t __real_write(int fd, const void *buf, size_t size);
ssize_t __real_readv(int fd, const struct iovec *iov, int n);
ssize_t __real_writev(int fd, const struct iovec *iov, int n);
ssize_t __real_recvfrom(int fd, void *buf, size_t size, int flags,
    struct sockaddr *addr, socklen_t *len);
ssize_t __real_sendto(int fd, const void *buf, size_t size, int flags,
    const struct sockaddr *addr, socklen_t len);
ssize_t __real_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __real_sendfile64(int out, int in, off_t *offset, size_t size);
ssize_t __real_sendfile(int out, int in, off_t *offset, size_t size);
int __real_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev);
int __real_poll(struct pollfd *fds, nfds_t n, int timeout);


/* what can't be had on a connection of ours, and must not fail in silence */

static int
ngx_megapipe_refuse(char *call, int fd)
{
    ngx_log_error(NGX_LOG_ALERT, ngx_megapipe.log, 0,
                  "megapipe: a module called %s on the connection %d, which "
                  "can't be served: it needs \"use epoll\"", call, fd);

    ngx_set_errno(EOPNOTSUPP);
    return -1;
}


ssize_t
__wrap_read(int fd, void *buf, size_t size)
{
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(fd);

    return mc ? ngx_megapipe_read(mc, buf, size, 0)
              : __real_read(fd, buf, size);
}


ssize_t
__wrap___read_chk(int fd, void *buf, size_t size, size_t room)
{
    if (size > room) {
        abort();
    }

    return __wrap_read(fd, buf, size);
}


ssize_t
__wrap_write(int fd, const void *buf, size_t size)
{
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(fd);

    return mc ? ngx_megapipe_write(mc, (u_char *) buf, size)
              : __real_write(fd, buf, size);
}


/* as much as there is: what has been moved already is no error */

static ssize_t
ngx_megapipe_readv(ngx_megapipe_conn_t *mc, const struct iovec *iov, size_t n,
    ngx_uint_t peek)
{
    size_t   i;
    ssize_t  got, total;

    for (total = 0, i = 0; i < n; i++) {

        if (iov[i].iov_len == 0) {
            continue;
        }

        if (total && !mc->held) {
            break;
        }

        got = ngx_megapipe_read(mc, iov[i].iov_base, iov[i].iov_len, peek);

        if (got <= 0) {
            return total ? total : got;
        }

        total += got;

        /* a peek takes nothing, and would see the same again */

        if (peek || (size_t) got < iov[i].iov_len) {
            break;
        }
    }

    return total;
}


static ssize_t
ngx_megapipe_writev(ngx_megapipe_conn_t *mc, const struct iovec *iov, size_t n)
{
    size_t   i;
    ssize_t  sent, total;

    for (total = 0, i = 0; i < n; i++) {

        if (iov[i].iov_len == 0) {
            continue;
        }

        sent = ngx_megapipe_write(mc, iov[i].iov_base, iov[i].iov_len);

        if (sent < 0) {
            return total ? total : -1;
        }

        total += sent;

        if ((size_t) sent < iov[i].iov_len) {
            break;
        }
    }

    return total;
}


ssize_t
__wrap_readv(int fd, const struct iovec *iov, int n)
{
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(fd);

    return mc ? ngx_megapipe_readv(mc, iov, n, 0) : __real_readv(fd, iov, n);
}


ssize_t
__wrap_writev(int fd, const struct iovec *iov, int n)
{
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(fd);

    return mc ? ngx_megapipe_writev(mc, iov, n) : __real_writev(fd, iov, n);
}


ssize_t
__wrap_recvfrom(int fd, void *buf, size_t size, int flags,
    struct sockaddr *addr, socklen_t *len)
{
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(fd);

    if (mc == NULL) {
        return __real_recvfrom(fd, buf, size, flags, addr, len);
    }

    /* a connection's bytes have no address */

    if (addr) {
        *len = 0;
    }

    return ngx_megapipe_read(mc, buf, size, flags & MSG_PEEK);
}


ssize_t
__wrap___recvfrom_chk(int fd, void *buf, size_t size, size_t room, int flags,
    struct sockaddr *addr, socklen_t *len)
{
    if (size > room) {
        abort();
    }

    return __wrap_recvfrom(fd, buf, size, flags, addr, len);
}


ssize_t
__wrap_sendto(int fd, const void *buf, size_t size, int flags,
    const struct sockaddr *addr, socklen_t len)
{
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(fd);

    return mc ? ngx_megapipe_write(mc, (u_char *) buf, size)
              : __real_sendto(fd, buf, size, flags, addr, len);
}


ssize_t
__wrap_recvmsg(int fd, struct msghdr *msg, int flags)
{
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(fd);

    if (mc == NULL) {
        return __real_recvmsg(fd, msg, flags);
    }

    msg->msg_namelen = 0;
    msg->msg_controllen = 0;
    msg->msg_flags = 0;

    return ngx_megapipe_readv(mc, msg->msg_iov, msg->msg_iovlen,
                              flags & MSG_PEEK);
}


ssize_t
__wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(fd);

    if (mc == NULL) {
        return __real_sendmsg(fd, msg, flags);
    }

    if (msg->msg_controllen) {
        return ngx_megapipe_refuse("sendmsg() with ancillary data", fd);
    }

    return ngx_megapipe_writev(mc, msg->msg_iov, msg->msg_iovlen);
}


ssize_t
__wrap_sendfile64(int out, int in, off_t *offset, size_t size)
{
    if (ngx_megapipe_connection(out)) {
        return ngx_megapipe_refuse("sendfile()", out);
    }

    return __real_sendfile64(out, in, offset, size);
}


ssize_t
__wrap_sendfile(int out, int in, off_t *offset, size_t size)
{
    if (ngx_megapipe_connection(out)) {
        return ngx_megapipe_refuse("sendfile()", out);
    }

    return __real_sendfile(out, in, offset, size);
}


int
__wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
    if (ngx_megapipe_connection(fd)) {
        return ngx_megapipe_refuse("epoll_ctl()", fd);
    }

    return __real_epoll_ctl(epfd, op, fd, ev);
}


int
__wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
    nfds_t  i;

    for (i = 0; i < n; i++) {
        if (ngx_megapipe_connection(fds[i].fd)) {
            return ngx_megapipe_refuse("poll()", fds[i].fd);
        }
    }

    return __real_poll(fds, n, timeout);
}
