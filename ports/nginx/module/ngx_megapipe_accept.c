
/*
 * Listening sockets: the channel accepts, and nginx's accept handler takes.
 */

#include <ngx_megapipe.h>


/* in which the channel ends accepting, which asks nobody but the kernel */
#define NGX_MEGAPIPE_ACCEPTING_ENDS  10000


static void ngx_megapipe_give_up_listener(ngx_event_t *ev);
static void ngx_megapipe_free_listener(ngx_megapipe_listener_t *l);
static void ngx_megapipe_accepted(ngx_megapipe_source_t *source,
    struct mp_event *ev);
static ngx_int_t ngx_megapipe_keep(ngx_megapipe_listener_t *l,
    struct mp_event *ev);
static void ngx_megapipe_take(ngx_megapipe_listener_t *l);
static ngx_int_t ngx_megapipe_tell_peer(ngx_megapipe_conn_t *mc,
    ngx_megapipe_accepted_t *a, struct sockaddr *addr, socklen_t *len);


/* which nginx's accept handler is taking from */
static ngx_megapipe_listener_t  *ngx_megapipe_taking;


ngx_megapipe_listener_t *
ngx_megapipe_listener(ngx_socket_t fd)
{
    return (ngx_megapipe_listener_t *)
               ngx_megapipe_find(fd, NGX_MEGAPIPE_LISTENER);
}


/*
 * nginx turns TCP_NODELAY on for each connection that is kept alive. Accepted
 * sockets inherit it, and output that goes together needs no delay.
 */

static void
ngx_megapipe_inherit_nodelay(ngx_megapipe_listener_t *l, ngx_listening_t *ls)
{
    int  on;

    on = 1;

    l->nodelay = ls->sockaddr->sa_family != AF_UNIX
                 && setsockopt(l->source.fd, IPPROTO_TCP, TCP_NODELAY, &on,
                               sizeof(int))
                    == 0;
}


/* Accepted sockets inherit sndbuf, too, which the kernel doubles. */

static size_t
ngx_megapipe_output_limit(ngx_listening_t *ls)
{
    size_t  room;

    if (ls->sndbuf == -1) {
        return NGX_MEGAPIPE_OUTPUT_FIRST;
    }

    room = ngx_max(2 * (size_t) ls->sndbuf, NGX_MEGAPIPE_OUTPUT_LEAST);

    return ngx_min(room, NGX_MEGAPIPE_OUTPUT_FIRST);
}


static ngx_megapipe_listener_t *
ngx_megapipe_open_listener(ngx_connection_t *c)
{
    int                       rc;
    ngx_megapipe_listener_t  *l;

    l = ngx_calloc(sizeof(ngx_megapipe_listener_t), c->log);
    if (l == NULL) {
        return NULL;
    }

    l->source.kind = NGX_MEGAPIPE_LISTENER;
    l->source.complete = ngx_megapipe_accepted;

    /* the channel closes its descriptor, and nginx its own */

    l->source.fd = fcntl(ngx_megapipe_queue(c->listening), F_DUPFD_CLOEXEC, 0);

    if (l->source.fd == -1) {
        ngx_log_error(NGX_LOG_EMERG, c->log, ngx_socket_errno,
                      "fcntl(F_DUPFD_CLOEXEC) of %V failed",
                      &c->listening->addr_text);
        ngx_free(l);
        return NULL;
    }

    ngx_megapipe_inherit_nodelay(l, c->listening);
    l->output_limit = ngx_megapipe_output_limit(c->listening);

    rc = mp_register(ngx_megapipe.channel, l->source.fd, l,
                     ngx_megapipe_cpu_mask(c->listening), &l->source.handle);
    if (rc < 0) {
        ngx_log_error(NGX_LOG_EMERG, c->log, -rc, "mp_register(%V) failed",
                      &c->listening->addr_text);
        (void) close(l->source.fd);
        ngx_free(l);
        return NULL;
    }

    if (ngx_megapipe_install(c->fd, &l->source) != NGX_OK) {
        (void) mp_unregister(l->source.handle);
        (void) close(l->source.fd);
        ngx_free(l);
        return NULL;
    }

    return l;
}


ngx_int_t
ngx_megapipe_listen(ngx_connection_t *c)
{
    int                       rc;
    ngx_megapipe_listener_t  *l;

    l = ngx_megapipe_listener(c->fd);

    if (l == NULL) {
        l = ngx_megapipe_open_listener(c);
        if (l == NULL) {
            return NGX_ERROR;
        }
    }

    l->connection = c;

    rc = mp_accept(l->source.handle, MP_ACCEPT_ALL,
                   ngx_megapipe.conf->lwsocket);
    if (rc < 0) {
        ngx_log_error(NGX_LOG_ALERT, c->log, -rc, "mp_accept(%V) failed",
                      &c->listening->addr_text);
        return NGX_ERROR;
    }

    c->read->active = 1;

    return NGX_OK;
}


ngx_int_t
ngx_megapipe_stop_listening(ngx_connection_t *c, ngx_uint_t flags)
{
    ngx_megapipe_listener_t  *l;

    c->read->active = 0;

    l = ngx_megapipe_listener(c->fd);
    if (l == NULL) {
        return NGX_OK;
    }

    if (ngx_megapipe_ending()) {
        ngx_megapipe_spare_idle();
    }

    if (flags & NGX_CLOSE_EVENT) {
        ngx_megapipe_close_listener(l, c->fd);

    } else {
        (void) mp_accept(l->source.handle, 0, ngx_megapipe.conf->lwsocket);
    }

    return NGX_OK;
}


/*
 * nginx closes a listening socket, and its connection structure is another's
 * from now on. What was accepted already is served all the same: an old
 * worker's connections must not be lost when its configuration ends. They come
 * as completions, up to that of the close, and until then the timer keeps a
 * worker that is to end.
 */

void
ngx_megapipe_close_listener(ngx_megapipe_listener_t *l, ngx_socket_t fd)
{
    ngx_event_t  *rev;

    ngx_megapipe_install(fd, NULL);

    rev = l->connection->read;

    if (rev->timer_set) {
        ngx_del_timer(rev);
    }

    l->own = *l->connection;
    l->own.fd = (ngx_socket_t) -1;
    l->own.data = l;
    l->own.read = &l->own_read;

    l->own_read = *rev;
    l->own_read.data = &l->own;
    l->own_read.active = 1;

    l->connection = &l->own;
    l->closed = 1;

    l->close_timer.handler = ngx_megapipe_give_up_listener;
    l->close_timer.data = &l->own;
    l->close_timer.log = ngx_cycle->log;

    if (mp_close(l->source.handle) != 0) {
        ngx_megapipe_give_up_listener(&l->close_timer);
        return;
    }

    ngx_add_timer(&l->close_timer, NGX_MEGAPIPE_ACCEPTING_ENDS);

    while (l->naccepted) {
        ngx_megapipe_take(l);
    }
}


static void
ngx_megapipe_give_up_listener(ngx_event_t *ev)
{
    ngx_connection_t         *c;
    ngx_megapipe_listener_t  *l;

    c = ev->data;
    l = c->data;

    ngx_log_error(NGX_LOG_ALERT, ev->log, 0,
                  "accepting on %V does not end: connections that were "
                  "accepted last are lost", &c->listening->addr_text);

    (void) mp_unregister(l->source.handle);
    (void) close(l->source.fd);

    ngx_megapipe_free_listener(l);
}


static void
ngx_megapipe_free_listener(ngx_megapipe_listener_t *l)
{
    if (l->close_timer.timer_set) {
        ngx_del_timer(&l->close_timer);
    }

    if (l->accepted) {
        ngx_free(l->accepted);
    }

    ngx_free(l);
}


static void
ngx_megapipe_accepted(ngx_megapipe_source_t *source, struct mp_event *ev)
{
    ngx_megapipe_listener_t *l = (ngx_megapipe_listener_t *) source;

    if (ev->cmd == MP_CLOSE) {
        ngx_megapipe_free_listener(l);
        return;
    }

    if (ev->result < 0) {
        if (l->closed) {
            return;
        }

        l->error = -ev->result;

    } else if (ngx_megapipe_keep(l, ev) != NGX_OK) {
        return;
    }

    if (!l->connection->read->active) {
        return;
    }

    do {
        ngx_megapipe_take(l);

    } while (l->naccepted && l->connection->read->active
             && (l->closed || !ngx_megapipe.paused));
}


static ngx_int_t
ngx_megapipe_grow_ring(ngx_megapipe_listener_t *l)
{
    ngx_uint_t                i, size;
    ngx_megapipe_accepted_t  *accepted;

    size = l->size ? 2 * l->size : 64;

    accepted = ngx_alloc(size * sizeof(ngx_megapipe_accepted_t),
                         ngx_megapipe.log);
    if (accepted == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < l->naccepted; i++) {
        accepted[i] = l->accepted[(l->first + i) % l->size];
    }

    if (l->accepted) {
        ngx_free(l->accepted);
    }

    l->accepted = accepted;
    l->first = 0;
    l->size = size;

    return NGX_OK;
}


static ngx_int_t
ngx_megapipe_keep(ngx_megapipe_listener_t *l, struct mp_event *ev)
{
    ngx_megapipe_accepted_t  *a;

    if (l->naccepted == l->size && ngx_megapipe_grow_ring(l) != NGX_OK) {
        return NGX_ERROR;
    }

    a = &l->accepted[(l->first + l->naccepted++) % l->size];

    a->fd = ev->result;
    a->len = 0;

    if (ev->accept.peer) {
        a->len = ngx_min(ev->accept.peer_len, sizeof(ngx_sockaddr_t));
        ngx_memcpy(&a->addr, ev->accept.peer, a->len);
    }

    return NGX_OK;
}


/* nginx's handler accepts one connection, or all with "multi_accept" */

static void
ngx_megapipe_take(ngx_megapipe_listener_t *l)
{
    ngx_event_t  *rev;

    rev = l->connection->read;
    rev->ready = 1;

    ngx_megapipe_taking = l;
    rev->handler(rev);
    ngx_megapipe_taking = NULL;
}


/* who is asked by accept4(): without a descriptor it is one that closes */

ngx_megapipe_listener_t *
ngx_megapipe_asked(ngx_socket_t fd)
{
    return fd == (ngx_socket_t) -1 ? ngx_megapipe_taking
                                   : ngx_megapipe_listener(fd);
}


/*
 * Without a connection structure left, nginx takes one that idles, and without
 * such a one it closes the new connection. One that has just been accepted and
 * not been read from idles, too, to nginx: where there are no others, these
 * must get their turn before they make room for the next.
 */

static ngx_uint_t
ngx_megapipe_has_room(void)
{
    return ngx_cycle->free_connection_n > 0 || !ngx_megapipe_idle_are_new();
}


/* for two rounds: what is accepted in a batch would push itself out */

static void
ngx_megapipe_pause_accepting(void)
{
    ngx_uint_t                i;
    ngx_listening_t          *ls;
    ngx_megapipe_listener_t  *l;

    ngx_megapipe.paused = 1;

    ls = ngx_cycle->listening.elts;

    for (i = 0; i < ngx_cycle->listening.nelts; i++) {
        l = ngx_megapipe_listener(ls[i].fd);

        if (l && !l->closed) {
            (void) mp_accept(l->source.handle, 0,
                             ngx_megapipe.conf->lwsocket);
        }
    }
}


/* only with fewer descriptors than worker_connections */

static void
ngx_megapipe_tell_scarcity(void)
{
    struct mp_stats  stats;

    stats.size = sizeof(struct mp_stats);

    if (mp_stats(ngx_megapipe.channel, &stats) < 0) {
        return;
    }

    if (stats.lwsocket_waits == ngx_megapipe.lwsocket_waits) {
        return;
    }

    if (ngx_megapipe.lwsocket_waits == 0) {
        ngx_log_error(NGX_LOG_WARN, ngx_megapipe.log, 0,
                      "%uD lwsockets are not enough, connections wait; "
                      "see worker_rlimit_nofile", stats.lwsockets);
    }

    ngx_megapipe.lwsocket_waits = stats.lwsocket_waits;
}


/* in each round of the event loop */

void
ngx_megapipe_resume_accepting(void)
{
    ngx_uint_t                i;
    ngx_listening_t          *ls;
    ngx_megapipe_listener_t  *l;

    ngx_megapipe.taken_before = ngx_megapipe.taken;
    ngx_megapipe.taken = 0;

    if (ngx_megapipe.conf->lwsocket) {
        ngx_megapipe_tell_scarcity();
    }

    if (!ngx_megapipe.paused || !ngx_megapipe_has_room()) {
        return;
    }

    ngx_megapipe.paused = 0;

    ls = ngx_cycle->listening.elts;

    for (i = 0; i < ngx_cycle->listening.nelts; i++) {
        l = ngx_megapipe_listener(ls[i].fd);

        if (l == NULL || l->closed || !l->connection->read->active) {
            continue;
        }

        while (l->naccepted && !ngx_megapipe.paused) {
            ngx_megapipe_take(l);
        }

        if (!ngx_megapipe.paused) {
            (void) mp_accept(l->source.handle, MP_ACCEPT_ALL,
                             ngx_megapipe.conf->lwsocket);
        }
    }
}


/* accept4() of nginx, with its errors */

ngx_socket_t
ngx_megapipe_accept(ngx_megapipe_listener_t *l, struct sockaddr *addr,
    socklen_t *len)
{
    ngx_megapipe_conn_t      *mc;
    ngx_megapipe_accepted_t  *a;

    if (l->naccepted == 0) {

        /* what can pass the channel retries, and tells once a second */

        ngx_set_errno(l->error ? l->error : NGX_EAGAIN);
        l->error = 0;
        return -1;
    }

    if (!l->closed && !ngx_megapipe_has_room()) {
        ngx_megapipe_pause_accepting();
        ngx_set_errno(NGX_EAGAIN);
        return -1;
    }

    a = &l->accepted[l->first];
    l->first = (l->first + 1) % l->size;
    l->naccepted--;

    mc = ngx_megapipe_open(a->fd);
    if (mc == NULL) {
        ngx_set_errno(NGX_ENOMEM);
        return -1;
    }

    if (ngx_megapipe_tell_peer(mc, a, addr, len) != NGX_OK) {

        /* reset already: nginx would log each of them as an error */

        ngx_megapipe_close(mc);
        ngx_set_errno(NGX_EAGAIN);
        return -1;
    }

    mc->nodelay = l->nodelay;
    mc->output_limit = l->output_limit;
    ngx_megapipe.taken++;
    ngx_megapipe_count_accepted();

    return a->fd;
}


static ngx_int_t
ngx_megapipe_tell_peer(ngx_megapipe_conn_t *mc, ngx_megapipe_accepted_t *a,
    struct sockaddr *addr, socklen_t *len)
{
    if (a->len == 0) {
        return mp_getpeername(mc->source.handle, addr, len) == 0 ? NGX_OK
                                                                 : NGX_ERROR;
    }

    ngx_memcpy(addr, &a->addr, ngx_min(*len, a->len));
    *len = a->len;

    return NGX_OK;
}
