
/*
 * "aio on": nginx submits reads of files to the kernel's native AIO by itself,
 * and is to be told of their ends by an eventfd, which the event module keeps.
 */

#include <ngx_megapipe.h>


#if (NGX_HAVE_FILE_AIO)

#include <sys/eventfd.h>


#define NGX_MEGAPIPE_AIO_REQUESTS  32
#define NGX_MEGAPIPE_AIO_EVENTS    64


extern int            ngx_eventfd;
extern aio_context_t  ngx_aio_ctx;

static ngx_event_t       ngx_megapipe_aio_event;
static ngx_connection_t  ngx_megapipe_aio_connection;


static void
ngx_megapipe_aio_complete(struct io_event *done)
{
    ngx_event_t      *ev;
    ngx_event_aio_t  *aio;

    ev = (ngx_event_t *) (uintptr_t) done->data;

    ev->complete = 1;
    ev->active = 0;
    ev->ready = 1;

    aio = ev->data;
    aio->res = done->res;

    ngx_post_event(ev, &ngx_posted_events);
}


static void
ngx_megapipe_aio_handler(ngx_event_t *ev)
{
    int              i, n;
    uint64_t         ready;
    struct timespec  now;
    struct io_event  events[NGX_MEGAPIPE_AIO_EVENTS];

    if (read(ngx_eventfd, &ready, sizeof(uint64_t)) != sizeof(uint64_t)) {
        return;
    }

    now.tv_sec = 0;
    now.tv_nsec = 0;

    do {
        n = syscall(SYS_io_getevents, ngx_aio_ctx, 1, NGX_MEGAPIPE_AIO_EVENTS,
                    events, &now);

        for (i = 0; i < n; i++) {
            ngx_megapipe_aio_complete(&events[i]);
        }

    } while (n > 0);
}


/* Where the kernel has none, nginx reads files by pread(). */

void
ngx_megapipe_aio_init(ngx_log_t *log)
{
    ngx_connection_t  *c;

    ngx_eventfd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

    if (ngx_eventfd == -1) {
        goto failed;
    }

    if (syscall(SYS_io_setup, NGX_MEGAPIPE_AIO_REQUESTS, &ngx_aio_ctx) == -1) {
        goto failed;
    }

    c = &ngx_megapipe_aio_connection;

    ngx_megapipe_aio_event.data = c;
    ngx_megapipe_aio_event.handler = ngx_megapipe_aio_handler;
    ngx_megapipe_aio_event.log = log;

    c->fd = ngx_eventfd;
    c->read = &ngx_megapipe_aio_event;
    c->write = &ngx_megapipe_aio_event;
    c->log = log;

    if (ngx_megapipe_watch(&ngx_megapipe_aio_event, NGX_READ_EVENT,
                           NGX_CLEAR_EVENT)
        == NGX_OK)
    {
        return;
    }

failed:

    ngx_log_error(NGX_LOG_WARN, log, ngx_errno,
                  "no native AIO here, \"aio on\" has no effect");

    ngx_megapipe_aio_done();
    ngx_file_aio = 0;
}


void
ngx_megapipe_aio_done(void)
{
    if (ngx_aio_ctx) {
        (void) syscall(SYS_io_destroy, ngx_aio_ctx);
        ngx_aio_ctx = 0;
    }

    if (ngx_eventfd != -1) {
        (void) close(ngx_eventfd);
        ngx_eventfd = -1;
    }
}

#else

void
ngx_megapipe_aio_init(ngx_log_t *log)
{
}


void
ngx_megapipe_aio_done(void)
{
}

#endif
