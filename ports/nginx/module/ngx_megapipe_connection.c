
/*
 * Connections: from the first descriptor or lwsocket to the last completion.
 *
 * What the channel may still write to or tell of lives longer than nginx's
 * connection: it goes with MP_CLOSE, the last completion of a handle, or when
 * mp_unregister() has returned, after which there is none.
 */

#include <ngx_megapipe.h>
#include <poll.h>


static void ngx_megapipe_connection_complete(ngx_megapipe_source_t *source,
    struct mp_event *ev);
static void ngx_megapipe_connected(ngx_megapipe_conn_t *mc, ngx_err_t err);
static void ngx_megapipe_close_rest(ngx_megapipe_conn_t *mc);
static void ngx_megapipe_close_handle(ngx_megapipe_conn_t *mc, int64_t us);
static void ngx_megapipe_log_given_up(void);
static void ngx_megapipe_free(ngx_megapipe_conn_t *mc);
static void ngx_megapipe_close_stalled(ngx_event_t *ev);
#if (NGX_MEGAPIPE_IDLE_ONCE)
static void ngx_megapipe_looked(ngx_event_t *ev);
#endif
static void ngx_megapipe_close_idle(ngx_event_t *ev);


/* how long connections that idle outlive the begin of a worker's end */
#define NGX_MEGAPIPE_SPARE          1000


/* a peer that takes nothing of a closed connection's rest: 60 s, by 5 s */
#define NGX_MEGAPIPE_CLOSE_PERIOD   5000
#define NGX_MEGAPIPE_CLOSE_PERIODS  12

/* one that is not watched, because the channel has all of it */
#define NGX_MEGAPIPE_CLOSE_US       (60 * 1000000LL)


/* who owns a descriptor, and who an lwsocket: both are small numbers */

typedef struct {
    ngx_megapipe_source_t  **sources;
    ngx_uint_t               size;
} ngx_megapipe_table_t;


static ngx_megapipe_table_t  ngx_megapipe_fds;
static ngx_megapipe_table_t  ngx_megapipe_lwsockets;

static ngx_megapipe_conn_t  *ngx_megapipe_free_connections;


static ngx_megapipe_table_t *
ngx_megapipe_table(ngx_socket_t fd, ngx_uint_t *i)
{
    if (fd >= MP_LWSOCKET_BASE) {
        *i = fd - MP_LWSOCKET_BASE;
        return &ngx_megapipe_lwsockets;
    }

    *i = fd;
    return &ngx_megapipe_fds;
}


static ngx_int_t
ngx_megapipe_grow(ngx_megapipe_table_t *table, ngx_uint_t i)
{
    ngx_uint_t               size;
    ngx_megapipe_source_t  **sources;

    size = ngx_max(2 * table->size, 1024);
    while (size <= i) {
        size *= 2;
    }

    sources = ngx_calloc(size * sizeof(ngx_megapipe_source_t *),
                         ngx_megapipe.log);
    if (sources == NULL) {
        return NGX_ERROR;
    }

    if (table->size) {
        ngx_memcpy(sources, table->sources,
                   table->size * sizeof(ngx_megapipe_source_t *));
        ngx_free(table->sources);
    }

    table->sources = sources;
    table->size = size;

    return NGX_OK;
}


ngx_int_t
ngx_megapipe_install(ngx_socket_t fd, ngx_megapipe_source_t *source)
{
    ngx_uint_t             i;
    ngx_megapipe_table_t  *table;

    table = ngx_megapipe_table(fd, &i);

    if (i >= table->size) {

        if (source == NULL) {
            return NGX_OK;
        }

        if (ngx_megapipe_grow(table, i) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    table->sources[i] = source;

    return NGX_OK;
}


ngx_megapipe_source_t *
ngx_megapipe_find(ngx_socket_t fd, ngx_megapipe_kind_e kind)
{
    ngx_uint_t              i;
    ngx_megapipe_table_t   *table;
    ngx_megapipe_source_t  *source;

    if (fd < 0 || !ngx_megapipe_is_here) {
        return NULL;
    }

    table = ngx_megapipe_table(fd, &i);

    if (i >= table->size) {
        return NULL;
    }

    source = table->sources[i];

    return (source && source->kind == kind) ? source : NULL;
}


ngx_megapipe_conn_t *
ngx_megapipe_connection(ngx_socket_t fd)
{
    return (ngx_megapipe_conn_t *)
               ngx_megapipe_find(fd, NGX_MEGAPIPE_CONNECTION);
}


/* The channel is about to end: descriptors are nginx's alone again. */

void
ngx_megapipe_forget_all(void)
{
    ngx_megapipe_fds.size = 0;
    ngx_megapipe_lwsockets.size = 0;
}


static ngx_megapipe_conn_t *
ngx_megapipe_alloc(void)
{
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_free_connections;

    if (mc) {
        ngx_megapipe_free_connections = mc->next;

    } else {
        mc = ngx_alloc(sizeof(ngx_megapipe_conn_t), ngx_megapipe.log);
        if (mc == NULL) {
            return NULL;
        }
    }

    ngx_memzero(mc, sizeof(ngx_megapipe_conn_t));

    mc->source.kind = NGX_MEGAPIPE_CONNECTION;
    mc->source.complete = ngx_megapipe_connection_complete;
    mc->output_limit = NGX_MEGAPIPE_OUTPUT_FIRST;

    return mc;
}


ngx_megapipe_conn_t *
ngx_megapipe_open(ngx_socket_t fd)
{
    int                   rc;
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_alloc();
    if (mc == NULL) {
        return NULL;
    }

    mc->source.fd = fd;

    rc = mp_register(ngx_megapipe.channel, fd, mc, NULL, &mc->source.handle);

    if (rc < 0) {
        ngx_log_error(NGX_LOG_ALERT, ngx_megapipe.log, -rc,
                      "mp_register(%d) failed", fd);
        ngx_megapipe_free(mc);
        return NULL;
    }

    if (ngx_megapipe_install(fd, &mc->source) != NGX_OK) {
        (void) mp_unregister(mc->source.handle);
        ngx_megapipe_free(mc);
        return NULL;
    }

    return mc;
}


/*
 * connect() of nginx. Called at once, it tells errors that are known at once,
 * which nginx logs otherwise than those that come as an event.
 */

int
ngx_megapipe_connect(ngx_megapipe_conn_t *mc, const struct sockaddr *addr,
    socklen_t len)
{
    int  rc;

    if (__real_connect(mc->source.fd, addr, len) == 0) {
        ngx_megapipe_receive(mc);
        return 0;
    }

    if (ngx_socket_errno != NGX_EINPROGRESS) {
        return -1;
    }

    rc = mp_poll(mc->source.handle, POLLOUT);

    if (rc < 0) {
        ngx_set_errno(-rc);
        return -1;
    }

    mc->connecting = 1;

    ngx_set_errno(NGX_EINPROGRESS);
    return -1;
}


static ngx_err_t
ngx_megapipe_connect_error(ngx_megapipe_conn_t *mc, struct mp_event *ev)
{
    int        rc, err;
    socklen_t  len;

    if (ev->result < 0) {
        return -ev->result;
    }

    if (!(ev->result & (POLLERR|POLLHUP))) {
        return 0;
    }

    err = 0;
    len = sizeof(int);

    rc = mp_getsockopt(mc->source.handle, SOL_SOCKET, SO_ERROR, &err, &len);

    return rc < 0 ? -rc : err;
}


static void
ngx_megapipe_connected(ngx_megapipe_conn_t *mc, ngx_err_t err)
{
    ngx_connection_t  *c;

    mc->connecting = 0;

    if (err) {
        mc->input_error = err;
        mc->output_error = err;

    } else {
        ngx_megapipe_receive(mc);
    }

    c = mc->connection;

    if (c) {
        ngx_megapipe_ready(c->write);
    }
}


static void
ngx_megapipe_connection_complete(ngx_megapipe_source_t *source,
    struct mp_event *ev)
{
    ngx_megapipe_conn_t *mc = (ngx_megapipe_conn_t *) source;

    ngx_uint_t  closing;

    switch (ev->cmd) {

    case MP_RECV:
        ngx_megapipe_received(mc, ev);
        return;

    case MP_WRITE:

        /* a handler of nginx may close the connection, and free mc */

        closing = mc->closing;

        ngx_megapipe_written(mc, ev);

        if (closing) {
            ngx_megapipe_close_rest(mc);
        }

        return;

    case MP_POLL:
        if (mc->connecting) {
            ngx_megapipe_connected(mc, ngx_megapipe_connect_error(mc, ev));
            return;
        }

        ngx_megapipe_left(mc, ev);
        return;

    case MP_CLOSE:
        if (ev->result == -NGX_ETIMEDOUT) {
            ngx_megapipe_log_given_up();
        }

        ngx_megapipe_free(mc);
        return;

    default: /* MP_DISCONNECT */
        return;
    }
}


/*
 * close() of nginx: what it believes to be sent goes out first. Little of it
 * is with the kernel as good as at once, and the close can be asked for with
 * it; a long rest is watched while the peer takes it.
 */

void
ngx_megapipe_close(ngx_megapipe_conn_t *mc)
{
    mc->connection = NULL;
    mc->closing = 1;

    ngx_megapipe_install(mc->source.fd, NULL);

    ngx_megapipe_stop_reading(mc);
    ngx_megapipe_release(mc);

    if (mc->connecting || mc->reset || (mc->timedout && mc->output)) {
        ngx_megapipe_close_handle(mc, 0);
        return;
    }

    ngx_megapipe_flush_connection(mc);
    ngx_megapipe_close_rest(mc);
}


/* as soon as the channel has all that is left, or can't have it */

static void
ngx_megapipe_close_rest(ngx_megapipe_conn_t *mc)
{
    if (mc->closed) {
        return;
    }

    if (mc->output_error) {
        ngx_megapipe_close_handle(mc, 0);

    } else if (ngx_megapipe_all_asked(mc)) {
        ngx_megapipe_close_handle(mc, NGX_MEGAPIPE_CLOSE_US);

    } else if (!mc->close_timer.timer_set) {
        mc->close_timer.handler = ngx_megapipe_close_stalled;
        mc->close_timer.data = mc;
        mc->close_timer.log = ngx_megapipe.log;

        ngx_add_timer(&mc->close_timer, NGX_MEGAPIPE_CLOSE_PERIOD);
    }
}


/* 0: what the kernel doesn't have is dropped */

static void
ngx_megapipe_close_handle(ngx_megapipe_conn_t *mc, int64_t us)
{
    ngx_socket_t  fd;

    if (mc->close_timer.timer_set) {
        ngx_del_timer(&mc->close_timer);
    }

    if (mp_close_within(mc->source.handle, us) == 0) {
        mc->closed = 1;
        return;
    }

    fd = mc->source.fd;

    (void) mp_unregister(mc->source.handle);

    if (fd < MP_LWSOCKET_BASE) {
        (void) close(fd);
    }

    ngx_megapipe_free(mc);
}


static void
ngx_megapipe_log_given_up(void)
{
    ngx_log_error(NGX_LOG_INFO, ngx_megapipe.log, NGX_ETIMEDOUT,
                  "peer does not take the rest of a closed connection");
}


/*
 * A worker that is to end closes the connections that idle. Some of them have
 * become so in this round: their answers are not even sent, and the client's
 * next request would find them closed. All get a moment more, and those that
 * use it are answered with "Connection: close".
 */

void
ngx_megapipe_spare_idle(void)
{
    ngx_uint_t            i;
    ngx_connection_t     *c;
    ngx_megapipe_conn_t  *mc;

    static ngx_event_t       timer;
#if (NGX_MEGAPIPE_IDLE_ONCE)
    static ngx_event_t       looked;
#endif
    static ngx_connection_t  dumb;

    c = ngx_cycle->connections;

    for (i = 0; i < ngx_cycle->connection_n; i++) {

        mc = ngx_megapipe_connection(c[i].fd);

        if (mc == NULL || mc->connection != &c[i] || !c[i].idle) {
            continue;
        }

        /* nginx looks for those that idle next */

        mc->spared = 1;
        c[i].idle = 0;

        if (!timer.timer_set) {
            dumb.fd = (ngx_socket_t) -1;

            timer.handler = ngx_megapipe_close_idle;
            timer.data = &dumb;
            timer.log = ngx_megapipe.log;

            ngx_add_timer(&timer, NGX_MEGAPIPE_SPARE);

#if (NGX_MEGAPIPE_IDLE_ONCE)
            looked.handler = ngx_megapipe_looked;
            looked.log = ngx_megapipe.log;

            ngx_post_event(&looked, &ngx_posted_events);
            ngx_megapipe.sparing = 1;
#endif
        }
    }
}


#if (NGX_MEGAPIPE_IDLE_ONCE)

/* before the handlers that newer releases call next, which keep account */

static void
ngx_megapipe_looked(ngx_event_t *ev)
{
    ngx_megapipe_spared();
}

#endif


/*
 * nginx has looked, and keeps account of them again. Where it looks in every
 * round, they stay hidden.
 */

void
ngx_megapipe_spared(void)
{
#if (NGX_MEGAPIPE_IDLE_ONCE)
    ngx_uint_t            i;
    ngx_connection_t     *c;
    ngx_megapipe_conn_t  *mc;

    if (!ngx_megapipe.sparing) {
        return;
    }

    ngx_megapipe.sparing = 0;

    c = ngx_cycle->connections;

    for (i = 0; i < ngx_cycle->connection_n; i++) {
        mc = ngx_megapipe_connection(c[i].fd);

        if (mc && mc->connection == &c[i] && mc->spared) {
            c[i].idle = 1;
        }
    }
#endif
}


/*
 * nginx's own way to tell them: who speaks HTTP/2 is to know even while it is
 * active. Older releases keep no account, and what has received is active.
 */

static void
ngx_megapipe_close_idle(ngx_event_t *ev)
{
#if (NGX_MEGAPIPE_IDLE_ONCE)

    ngx_close_idle_connections((ngx_cycle_t *) ngx_cycle);

#else

    ngx_uint_t            i;
    ngx_connection_t     *c;
    ngx_megapipe_conn_t  *mc;

    c = ngx_cycle->connections;

    for (i = 0; i < ngx_cycle->connection_n; i++) {

        mc = ngx_megapipe_connection(c[i].fd);

        if (mc && mc->connection == &c[i] && mc->spared) {
            c[i].close = 1;
            c[i].read->handler(c[i].read);
        }
    }

#endif
}


/* bytes that the peer has acknowledged; what libc's tcp_info ends before */

static uint64_t
ngx_megapipe_acknowledged(ngx_megapipe_conn_t *mc)
{
    socklen_t  len;

    struct {
        struct tcp_info  info;
        uint64_t         pacing_rate;
        uint64_t         max_pacing_rate;
        uint64_t         bytes_acked;
    } tcp;

    len = sizeof(tcp);
    ngx_memzero(&tcp, len);

    if (mp_getsockopt(mc->source.handle, IPPROTO_TCP, TCP_INFO, &tcp, &len)
        != 0)
    {
        return 0;
    }

    return tcp.bytes_acked;
}


/*
 * The kernel goes on as long as a peer takes anything. So does the channel,
 * but a worker that is to end waits for nobody who takes nothing.
 */

static void
ngx_megapipe_close_stalled(ngx_event_t *ev)
{
    uint64_t              acknowledged;
    ngx_megapipe_conn_t  *mc;

    mc = ev->data;

    acknowledged = ngx_megapipe_acknowledged(mc);

    if (acknowledged > mc->acknowledged) {
        mc->acknowledged = acknowledged;
        mc->stalls = 0;

    } else if (++mc->stalls == NGX_MEGAPIPE_CLOSE_PERIODS || ngx_exiting) {
        ngx_megapipe_log_given_up();
        ngx_megapipe_close_handle(mc, 0);
        return;
    }

    ngx_add_timer(ev, NGX_MEGAPIPE_CLOSE_PERIOD);
}


static void
ngx_megapipe_free(ngx_megapipe_conn_t *mc)
{
    if (mc->close_timer.timer_set) {
        ngx_del_timer(&mc->close_timer);
    }

    ngx_megapipe_release(mc);
    ngx_megapipe_free_output(mc);

    mc->next = ngx_megapipe_free_connections;
    ngx_megapipe_free_connections = mc;
}
