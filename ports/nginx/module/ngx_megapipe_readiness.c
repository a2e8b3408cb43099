
/*
 * Descriptors that nginx, or a module of somebody else, reads and writes by
 * itself: datagrams, channels between processes, eventfds. An epoll instance
 * watches them, and the channel watches the instance.
 */

#include <ngx_megapipe.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <poll.h>


#define NGX_MEGAPIPE_READY_EVENTS  64


static ngx_int_t ngx_megapipe_notify_init(ngx_log_t *log);
static void ngx_megapipe_notified(ngx_event_t *ev);
static void ngx_megapipe_readiness_complete(ngx_megapipe_source_t *source,
    struct mp_event *ev);
static void ngx_megapipe_deliver(struct epoll_event *ee);


static ngx_megapipe_source_t  ngx_megapipe_readiness = {
    .kind = NGX_MEGAPIPE_READINESS,
    .fd = -1,
    .complete = ngx_megapipe_readiness_complete
};

static int               ngx_megapipe_notify_fd = -1;
static ngx_event_t       ngx_megapipe_notify_event;
static ngx_connection_t  ngx_megapipe_notify_connection;


static ngx_int_t
ngx_megapipe_poll(void)
{
    int  rc;

    rc = mp_poll(ngx_megapipe_readiness.handle, POLLIN);

    if (rc < 0) {
        ngx_log_error(NGX_LOG_ALERT, ngx_megapipe.log, -rc,
                      "mp_poll() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_megapipe_readiness_init(ngx_log_t *log)
{
    int                     rc;
    ngx_megapipe_source_t  *source;

    source = &ngx_megapipe_readiness;

    source->fd = epoll_create1(EPOLL_CLOEXEC);

    if (source->fd == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno, "epoll_create1() failed");
        return NGX_ERROR;
    }

    rc = mp_register(ngx_megapipe.channel, source->fd, source, NULL,
                     &source->handle);
    if (rc < 0) {
        ngx_log_error(NGX_LOG_EMERG, log, -rc, "mp_register(epoll) failed");
        return NGX_ERROR;
    }

    if (ngx_megapipe_notify_init(log) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_megapipe_poll();
}


void
ngx_megapipe_readiness_done(void)
{
    (void) close(ngx_megapipe_notify_fd);
    (void) mp_unregister(ngx_megapipe_readiness.handle);
    (void) close(ngx_megapipe_readiness.fd);

    ngx_megapipe_notify_fd = -1;
    ngx_megapipe_readiness.fd = -1;
}


static ngx_int_t
ngx_megapipe_control(ngx_connection_t *c, int op, uint32_t events)
{
    struct epoll_event  ee;

    ee.events = events;
    ee.data.ptr = (void *) ((uintptr_t) c | c->read->instance);

    if (epoll_ctl(ngx_megapipe_readiness.fd, op, c->fd, &ee) == -1) {
        ngx_log_error(NGX_LOG_ALERT, ngx_megapipe.log, ngx_errno,
                      "epoll_ctl(%d, %d) failed", op, c->fd);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* the events of the other direction stay as they are */

ngx_int_t
ngx_megapipe_watch(ngx_event_t *ev, ngx_int_t event, ngx_uint_t flags)
{
    uint32_t           events;
    ngx_event_t       *other;
    ngx_connection_t  *c;

    c = ev->data;

    if (event == NGX_READ_EVENT) {
        other = c->write;
        events = EPOLLIN|EPOLLRDHUP|(other->active ? EPOLLOUT : 0);

    } else {
        other = c->read;
        events = EPOLLOUT|(other->active ? EPOLLIN|EPOLLRDHUP : 0);
    }

    if (flags & NGX_CLEAR_EVENT) {
        events |= EPOLLET;
    }

    if (ngx_megapipe_control(c, other->active ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
                             events)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ev->active = 1;

    return NGX_OK;
}


ngx_int_t
ngx_megapipe_unwatch(ngx_event_t *ev, ngx_int_t event, ngx_uint_t flags)
{
    uint32_t           events;
    ngx_event_t       *other;
    ngx_connection_t  *c;

    ev->active = 0;

    /* closing takes a descriptor out by itself */

    if (flags & NGX_CLOSE_EVENT) {
        return NGX_OK;
    }

    c = ev->data;

    if (event == NGX_READ_EVENT) {
        other = c->write;
        events = EPOLLOUT|EPOLLET;

    } else {
        other = c->read;
        events = EPOLLIN|EPOLLRDHUP|EPOLLET;
    }

    if (other->active) {
        return ngx_megapipe_control(c, EPOLL_CTL_MOD, events);
    }

    return ngx_megapipe_control(c, EPOLL_CTL_DEL, 0);
}


ngx_int_t
ngx_megapipe_watch_connection(ngx_connection_t *c)
{
    if (ngx_megapipe_control(c, EPOLL_CTL_ADD,
                             EPOLLIN|EPOLLOUT|EPOLLRDHUP|EPOLLET)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    c->read->active = 1;
    c->write->active = 1;

    return NGX_OK;
}


ngx_int_t
ngx_megapipe_unwatch_connection(ngx_connection_t *c, ngx_uint_t flags)
{
    c->read->active = 0;
    c->write->active = 0;

    if (flags & NGX_CLOSE_EVENT) {
        return NGX_OK;
    }

    return ngx_megapipe_control(c, EPOLL_CTL_DEL, 0);
}


static void
ngx_megapipe_readiness_complete(ngx_megapipe_source_t *source,
    struct mp_event *ev)
{
    int                 i, n;
    struct epoll_event  events[NGX_MEGAPIPE_READY_EVENTS];

    n = epoll_wait(source->fd, events, NGX_MEGAPIPE_READY_EVENTS, 0);

    for (i = 0; i < n; i++) {
        ngx_megapipe_deliver(&events[i]);
    }

    (void) ngx_megapipe_poll();
}


static void
ngx_megapipe_deliver(struct epoll_event *ee)
{
    uint32_t           events;
    ngx_uint_t         instance;
    ngx_event_t       *rev, *wev;
    ngx_connection_t  *c;

    instance = (uintptr_t) ee->data.ptr & 1;
    c = (ngx_connection_t *) ((uintptr_t) ee->data.ptr & ~(uintptr_t) 1);

    rev = c->read;

    /* closed by a handler that was called just before */

    if (c->fd == -1 || rev->instance != instance) {
        return;
    }

    events = ee->events;

    if (events & (EPOLLERR|EPOLLHUP)) {
        /* each handler is to find the error by itself */
        events |= EPOLLIN|EPOLLOUT;
    }

    if ((events & EPOLLIN) && rev->active) {
#if (NGX_HAVE_EPOLLRDHUP)
        rev->available = -1;
#endif
        ngx_megapipe_ready(rev);
    }

    wev = c->write;

    if ((events & EPOLLOUT) && wev && wev->active
        && c->fd != -1 && rev->instance == instance)
    {
        ngx_megapipe_ready(wev);
    }
}


/* other threads wake the event loop: ngx_notify() */

static ngx_int_t
ngx_megapipe_notify_init(ngx_log_t *log)
{
    ngx_connection_t  *c;

    ngx_megapipe_notify_fd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

    if (ngx_megapipe_notify_fd == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno, "eventfd() failed");
        return NGX_ERROR;
    }

    ngx_megapipe_notify_event.handler = ngx_megapipe_notified;
    ngx_megapipe_notify_event.log = log;
    ngx_megapipe_notify_event.active = 1;

    c = &ngx_megapipe_notify_connection;

    c->fd = ngx_megapipe_notify_fd;
    c->read = &ngx_megapipe_notify_event;
    c->log = log;

    return ngx_megapipe_control(c, EPOLL_CTL_ADD, EPOLLIN|EPOLLET);
}


static void
ngx_megapipe_notified(ngx_event_t *ev)
{
    ngx_event_handler_pt  handler;

    handler = (ngx_event_handler_pt) ev->data;
    handler(ev);
}


ngx_int_t
ngx_megapipe_notify(ngx_event_handler_pt handler)
{
    uint64_t  inc = 1;

    /* edge-triggered: each write is told, so that nobody needs to read */

    ngx_megapipe_notify_event.data = (void *) handler;

    if (write(ngx_megapipe_notify_fd, &inc, sizeof(uint64_t))
        != sizeof(uint64_t))
    {
        ngx_log_error(NGX_LOG_ALERT, ngx_megapipe_notify_event.log, ngx_errno,
                      "write() to eventfd %d failed", ngx_megapipe_notify_fd);
        return NGX_ERROR;
    }

    return NGX_OK;
}
