
/*
 * The event loop: completions are fetched and given to what they belong to.
 */

#include <ngx_megapipe.h>


/* how long output may take that is left when a worker ends, in all */
#define NGX_MEGAPIPE_FINISH_TIMEOUT  1000


/* how soon a worker without room goes on to accept */
#define NGX_MEGAPIPE_PAUSE           50


static ngx_int_t ngx_megapipe_wait(ngx_msec_t timer, ngx_uint_t flags);
static void ngx_megapipe_complete(struct mp_event *ev);


ngx_int_t
ngx_megapipe_add_event(ngx_event_t *ev, ngx_int_t event, ngx_uint_t flags)
{
    ngx_connection_t     *c;
    ngx_megapipe_conn_t  *mc;

    c = ev->data;

    if (ngx_megapipe_accepts(ev, c)) {
        return ngx_megapipe_listen(c);
    }

    mc = ngx_megapipe_connection(c->fd);

    if (mc == NULL) {
        return ngx_megapipe_watch(ev, event, flags);
    }

    ev->active = 1;

    if (event == NGX_READ_EVENT) {
        ngx_megapipe_receive(mc);
    }

    return NGX_OK;
}


ngx_int_t
ngx_megapipe_del_event(ngx_event_t *ev, ngx_int_t event, ngx_uint_t flags)
{
    ngx_connection_t  *c;

    c = ev->data;

    if (ngx_megapipe_accepts(ev, c)) {
        return ngx_megapipe_stop_listening(c, flags);
    }

    if (ngx_megapipe_connection(c->fd) == NULL) {
        return ngx_megapipe_unwatch(ev, event, flags);
    }

    ev->active = 0;

    return NGX_OK;
}


ngx_int_t
ngx_megapipe_add_connection(ngx_connection_t *c)
{
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(c->fd);

    if (mc == NULL) {

        /* who reads and writes by calls of its own is told when it can */

        if (c->recv != ngx_megapipe_recv) {
            return ngx_megapipe_watch_connection(c);
        }

        mc = ngx_megapipe_open(c->fd);
        if (mc == NULL) {
            return NGX_ERROR;
        }
    }

    mc->connection = c;

    /*
     * Of an accepted connection, nginx asks for events when it wants them: in
     * the stream module after it has begun to connect to the upstream.
     */

    if (c->listening == NULL) {
        c->read->active = 1;
        c->write->active = 1;
    }

    return NGX_OK;
}


ngx_int_t
ngx_megapipe_del_connection(ngx_connection_t *c, ngx_uint_t flags)
{
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(c->fd);

    if (mc == NULL) {
        return ngx_megapipe_unwatch_connection(c, flags);
    }

    mc->connection = NULL;
    mc->timedout = c->write->timedout;

    c->read->active = 0;
    c->write->active = 0;

    return NGX_OK;
}


ngx_int_t
ngx_megapipe_process_events(ngx_cycle_t *cycle, ngx_msec_t timer,
    ngx_uint_t flags)
{
    ngx_int_t        rc;
    struct mp_event  ev;

    ngx_megapipe.flags = flags;
    ngx_megapipe.log = cycle->log;

    ngx_megapipe_spared();
    ngx_megapipe_resume_accepting();

    if (ngx_megapipe.paused) {
        timer = ngx_min(timer, NGX_MEGAPIPE_PAUSE);
    }

    timer = ngx_megapipe_tidy(timer);

    ngx_megapipe_keep_input();
    ngx_megapipe_flush_all();

    rc = ngx_megapipe_wait(timer, flags);

    if (rc != NGX_OK) {
        return rc == NGX_DONE ? NGX_OK : rc;
    }

    while (mp_pending(ngx_megapipe.channel) == 1
           && mp_dispatch(ngx_megapipe.channel, &ev, 0) == 1)
    {
        ngx_megapipe_complete(&ev);
        ngx_megapipe.completed++;
    }

    return NGX_OK;
}


/* NGX_OK: there are events; NGX_DONE: none, the time is over */

static ngx_int_t
ngx_megapipe_wait(ngx_msec_t timer, ngx_uint_t flags)
{
    int         rc;
    int64_t     timeout_us;
    ngx_uint_t  level;

    timeout_us = (timer == NGX_TIMER_INFINITE) ? -1 : (int64_t) timer * 1000;

    rc = mp_wait(ngx_megapipe.channel, timeout_us);

    if (flags & NGX_UPDATE_TIME || ngx_event_timer_alarm) {
        ngx_time_update();
    }

    if (rc == 1) {
        return NGX_OK;
    }

    if (rc == 0) {
        return NGX_DONE;
    }

    if (rc == -EINTR) {

        if (ngx_event_timer_alarm) {
            ngx_event_timer_alarm = 0;
            return NGX_DONE;
        }

        level = NGX_LOG_INFO;

    } else {
        level = NGX_LOG_ALERT;
    }

    ngx_log_error(level, ngx_megapipe.log, -rc, "mp_wait() failed");

    return NGX_ERROR;
}


static void
ngx_megapipe_complete(struct mp_event *ev)
{
    ngx_megapipe_source_t *source = ev->cookie;

    source->complete(source, ev);
}


/* nginx is told, or will be, that an event is ready */

void
ngx_megapipe_ready(ngx_event_t *ev)
{
    ev->ready = 1;

    /* a channel between processes has no handler of its write event */

    if (!ev->active || ev->handler == NULL || ngx_megapipe.finishing) {
        return;
    }

    if (ngx_megapipe.flags & NGX_POST_EVENTS) {
        ngx_post_event(ev, &ngx_posted_events);
        return;
    }

    ev->handler(ev);
}


/*
 * The end of a worker: what nginx believes to be sent goes out, as it would
 * from the kernel's buffers, though not for ever.
 */

void
ngx_megapipe_finish(void)
{
    ngx_msec_t       end;
    struct mp_event  ev;

    /* nginx is not to go on with its answers */
    ngx_megapipe.finishing = 1;

    ngx_time_update();
    end = ngx_current_msec + NGX_MEGAPIPE_FINISH_TIMEOUT;

    ngx_megapipe_flush_all();

    while (ngx_megapipe.nwriting
           && (ngx_msec_int_t) (end - ngx_current_msec) > 0)
    {
        if (mp_dispatch(ngx_megapipe.channel, &ev, 10000) == 1
            && ((ngx_megapipe_source_t *) ev.cookie)->kind
               == NGX_MEGAPIPE_CONNECTION)
        {
            ngx_megapipe_complete(&ev);
            ngx_megapipe_flush_all();
        }

        ngx_time_update();
    }
}
