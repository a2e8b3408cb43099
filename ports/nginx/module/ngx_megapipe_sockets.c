
/*
 * The socket calls that nginx makes by itself. The linker (--wrap) sends each
 * of them here; those on descriptors that are not the channel's go on to libc.
 *
 * On connections nginx 1.22 calls: accept4(), accept() in the accept handler;
 * connect() for peers; recv(MSG_PEEK) in tests for a closed client, of TLS,
 * PROXY protocol and idle upstream connections; shutdown() before lingering;
 * close(); setsockopt() of TCP_NODELAY, TCP_CORK, SO_LINGER, SO_KEEPALIVE and
 * buffers; getsockopt() of SO_ERROR and TCP_INFO; getsockname();
 * ioctl(FIONREAD, FIONBIO); SSL_set_fd() (ngx_megapipe_ssl.c).
 */

#include <ngx_megapipe.h>
#include <sys/ioctl.h>


int __real_accept(int fd, struct sockaddr *addr, socklen_t *len);
int __real_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
ssize_t __real_recv(int fd, void *buf, size_t size, int flags);
ssize_t __real_send(int fd, const void *buf, size_t size, int flags);
int __real_shutdown(int fd, int how);
int __real_close(int fd);
int __real_setsockopt(int fd, int level, int name, const void *value,
    socklen_t len);
int __real_getsockopt(int fd, int level, int name, void *value,
    socklen_t *len);
int __real_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
int __real_getpeername(int fd, struct sockaddr *addr, socklen_t *len);
int __real_ioctl(int fd, unsigned long request, ...);


/* libmegapipe returns errors, libc sets them */

static int
ngx_megapipe_result(int rc)
{
    if (rc < 0) {
        ngx_set_errno(-rc);
        return -1;
    }

    return rc;
}


int
__wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    ngx_megapipe_listener_t  *l;

    l = ngx_megapipe_asked(fd);

    if (l == NULL) {
        return __real_accept4(fd, addr, len, flags);
    }

    return ngx_megapipe_accept(l, addr, len);
}


int
__wrap_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
    ngx_megapipe_listener_t  *l;

    l = ngx_megapipe_asked(fd);

    if (l == NULL) {
        return __real_accept(fd, addr, len);
    }

    return ngx_megapipe_accept(l, addr, len);
}


int
__wrap_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(fd);

    if (mc == NULL) {
        return __real_connect(fd, addr, len);
    }

    return ngx_megapipe_connect(mc, addr, len);
}


ssize_t
__wrap_recv(int fd, void *buf, size_t size, int flags)
{
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(fd);

    if (mc == NULL) {
        return __real_recv(fd, buf, size, flags);
    }

    return ngx_megapipe_read(mc, buf, size, flags & MSG_PEEK);
}


/* recv() of those who compile with _FORTIFY_SOURCE */

ssize_t
__wrap___recv_chk(int fd, void *buf, size_t size, size_t room, int flags)
{
    if (size > room) {
        abort();
    }

    return __wrap_recv(fd, buf, size, flags);
}


ssize_t
__wrap_send(int fd, const void *buf, size_t size, int flags)
{
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(fd);

    if (mc == NULL) {
        return __real_send(fd, buf, size, flags);
    }

    return ngx_megapipe_write(mc, (u_char *) buf, size);
}


int
__wrap_shutdown(int fd, int how)
{
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(fd);

    if (mc == NULL) {
        return __real_shutdown(fd, how);
    }

    if (mc->output_error) {
        return ngx_megapipe_result(-NGX_ENOTCONN);
    }

    /* behind all that has been sent */

    ngx_megapipe_flush_connection(mc);

    if (!ngx_megapipe_all_asked(mc)) {
        mc->shutdown = 1 + how;
        return 0;
    }

    return ngx_megapipe_result(mp_disconnect(mc->source.handle, how));
}


int
__wrap_close(int fd)
{
    ngx_megapipe_conn_t      *mc;
    ngx_megapipe_listener_t  *l;

    mc = ngx_megapipe_connection(fd);

    if (mc) {
        ngx_megapipe_close(mc);
        return 0;
    }

    /* of one that nginx has not told to stop before, or had to pause */

    l = ngx_megapipe_listener(fd);

    if (l) {
        ngx_megapipe_close_listener(l, fd);
    }

    ngx_megapipe_close_file(fd);
    ngx_megapipe_close_queues(fd);

    return __real_close(fd);
}


int
__wrap_setsockopt(int fd, int level, int name, const void *value,
    socklen_t len)
{
    ngx_megapipe_conn_t  *mc;
    const struct linger  *linger;

    mc = ngx_megapipe_connection(fd);

    if (mc == NULL) {
        return __real_setsockopt(fd, level, name, value, len);
    }

    if (level == IPPROTO_TCP && name == TCP_CORK) {

        /* output of one round goes together anyway, and never waits */

        return 0;
    }

    if (level == IPPROTO_TCP && name == TCP_NODELAY && mc->nodelay
        && *(const int *) value)
    {
        return 0;
    }

    if (level == SOL_SOCKET && name == SO_LINGER) {
        linger = value;
        mc->reset = linger->l_onoff && linger->l_linger == 0;
    }

    return ngx_megapipe_result(mp_setsockopt(mc->source.handle, level, name,
                                             value, len));
}


int
__wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(fd);

    if (mc == NULL) {
        return __real_getsockopt(fd, level, name, value, len);
    }

    if (level == SOL_SOCKET && name == SO_ERROR) {

        /* the completions have brought it */

        *(int *) value = mc->output_error ? mc->output_error : mc->input_error;
        return 0;
    }

    return ngx_megapipe_result(mp_getsockopt(mc->source.handle, level, name,
                                             value, len));
}


int
__wrap_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(fd);

    if (mc == NULL) {
        return __real_getsockname(fd, addr, len);
    }

    return ngx_megapipe_result(mp_getsockname(mc->source.handle, addr, len));
}


int
__wrap_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(fd);

    if (mc == NULL) {
        return __real_getpeername(fd, addr, len);
    }

    return ngx_megapipe_result(mp_getpeername(mc->source.handle, addr, len));
}


int
__wrap_ioctl(int fd, unsigned long request, void *arg)
{
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(fd);

    if (mc == NULL) {
        return __real_ioctl(fd, request, arg);
    }

    switch (request) {

    case FIONBIO:
        return 0;

    case FIONREAD:
        *(int *) arg = mc->held ? mc->last - mc->pos : 0;
        return 0;

    default:
        return ngx_megapipe_result(-ENOTTY);
    }
}
