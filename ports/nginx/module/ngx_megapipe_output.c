
/*
 * Output: bytes are copied to segments and are sent for nginx then, as by
 * send(). All that comes in one round of the event loop is one mp_sendv(),
 * and while that is in flight, the next one collects. Where the peer is slow,
 * nginx learns of each progress, as it would from the kernel: it measures
 * send_timeout from there.
 */

#include <ngx_megapipe.h>
#include <linux/sock_diag.h>


#define NGX_MEGAPIPE_IOVS          64

/* what all connections together are to produce in a round */
#define NGX_MEGAPIPE_ROUND         (2 * 1024 * 1024)

/* below NGX_TIMER_LAZY_DELAY */
#define NGX_MEGAPIPE_TELL          200

static ngx_megapipe_segment_t *ngx_megapipe_tail(ngx_megapipe_conn_t *mc,
    size_t size);


/* how much the kernel would take of a connection's output now */

static size_t
ngx_megapipe_socket_room(ngx_megapipe_conn_t *mc)
{
    uint32_t   queued, memory[SK_MEMINFO_VARS];
    socklen_t  len;

    len = sizeof(memory);

    if (mp_getsockopt(mc->source.handle, SOL_SOCKET, SO_MEMINFO, memory, &len)
        != 0)
    {
        return NGX_MEGAPIPE_OUTPUT_FIRST;
    }

    /* TCP counts in the one, UNIX sockets in the other */

    queued = ngx_max(memory[SK_MEMINFO_WMEM_QUEUED],
                     memory[SK_MEMINFO_WMEM_ALLOC]);

    return memory[SK_MEMINFO_SNDBUF] > queued
           ? memory[SK_MEMINFO_SNDBUF] - queued : 0;
}


/* each one's share of what is produced in a round */

static size_t
ngx_megapipe_share(void)
{
    size_t  share;

    if (ngx_megapipe.produced >= NGX_MEGAPIPE_ROUND) {
        return NGX_MEGAPIPE_WHOLE;
    }

    share = NGX_MEGAPIPE_ROUND / ngx_max(ngx_megapipe.producers_before, 1);

    return ngx_max(share, NGX_MEGAPIPE_WHOLE);
}


/*
 * What waits in segments for a peer who reads nothing is held for as long as
 * he likes: so there is little more than the socket takes at once.
 */

size_t
ngx_megapipe_output_room(ngx_megapipe_conn_t *mc)
{
    size_t  limit;

    if (mc->unmeasured) {
        mc->unmeasured = 0;

        limit = ngx_megapipe_socket_room(mc);
        limit = ngx_min(limit, NGX_MEGAPIPE_OUTPUT_MAX);
        mc->output_limit = ngx_max(limit, NGX_MEGAPIPE_OUTPUT_LEAST);
    }

    limit = ngx_min(mc->output_limit, ngx_megapipe_share());

    return mc->output_size < limit ? limit - mc->output_size : 0;
}


static void
ngx_megapipe_added(ngx_megapipe_conn_t *mc, size_t size)
{
    mc->output_size += size;
    ngx_megapipe.produced += size;

    if (!mc->flush && mc->writing == 0) {
        ngx_queue_insert_tail(&ngx_megapipe.unflushed, &mc->unflushed);
        mc->flush = 1;
        ngx_megapipe.producers++;
    }
}


static void
ngx_megapipe_link(ngx_megapipe_conn_t *mc, ngx_megapipe_segment_t *segment)
{
    if (mc->output) {
        mc->last_output->next = segment;

    } else {
        mc->output = segment;
    }

    mc->last_output = segment;
}


void
ngx_megapipe_append(ngx_megapipe_conn_t *mc, ngx_megapipe_segment_t *segment)
{
    ngx_megapipe_link(mc, segment);
    ngx_megapipe_added(mc, segment->size);
}


/* bytes were put behind those of the last segment */

void
ngx_megapipe_extend(ngx_megapipe_conn_t *mc, ngx_megapipe_segment_t *segment,
    size_t size)
{
    segment->size += size;
    ngx_megapipe_added(mc, size);
}


/* the segment that the next bytes go to */

static ngx_megapipe_segment_t *
ngx_megapipe_tail(ngx_megapipe_conn_t *mc, size_t size)
{
    ngx_megapipe_segment_t  *segment;

    segment = mc->last_output;

    if (mc->output && segment->size < segment->room) {
        return segment;
    }

    segment = ngx_megapipe_alloc_segment(size);

    if (segment) {
        ngx_megapipe_link(mc, segment);
    }

    return segment;
}


/* send() on a connection of ours: bytes, or -1 and errno */

ssize_t
ngx_megapipe_write(ngx_megapipe_conn_t *mc, u_char *buf, size_t size)
{
    size_t                   n, sent;
    ngx_megapipe_segment_t  *segment;

    if (mc->output_error) {
        ngx_set_errno(mc->output_error);
        return -1;
    }

    size = ngx_min(size, ngx_megapipe_output_room(mc));

    if (size == 0) {
        ngx_set_errno(NGX_EAGAIN);
        return -1;
    }

    for (sent = 0; sent < size; sent += n) {

        segment = ngx_megapipe_tail(mc, size - sent);
        if (segment == NULL) {
            break;
        }

        n = ngx_min(size - sent, segment->room - segment->size);

        ngx_memcpy(segment->data + segment->size, buf + sent, n);

        ngx_megapipe_extend(mc, segment, n);
    }

    if (sent == 0) {
        ngx_set_errno(NGX_ENOMEM);
        return -1;
    }

    return sent;
}


/*
 * Of a write as a whole nginx doesn't hear until its end, which is as good as
 * at once where the socket has room for it. Where it hasn't, or nginx waits
 * with send_timeout, each progress is to be told.
 */

static ngx_uint_t
ngx_megapipe_is_told(ngx_megapipe_conn_t *mc, size_t size)
{
    return size > NGX_MEGAPIPE_WHOLE
           || mc->output_limit < NGX_MEGAPIPE_OUTPUT_FIRST
           || (mc->connection && !mc->connection->write->ready);
}


/* one mp_sendv() of what has collected */

static void
ngx_megapipe_write_output(ngx_megapipe_conn_t *mc)
{
    int                      rc;
    size_t                   size;
    ngx_uint_t               n;
    struct iovec             iovs[NGX_MEGAPIPE_IOVS];
    ngx_megapipe_segment_t  *segment;

    size = 0;
    segment = mc->output;

    for (n = 0; segment && n < NGX_MEGAPIPE_IOVS; n++) {
        iovs[n].iov_base = segment->data + segment->sent;
        iovs[n].iov_len = segment->size - segment->sent;

        size += iovs[n].iov_len;
        segment = segment->next;
    }

    mc->partial = ngx_megapipe_is_told(mc, size);

    rc = mp_sendv(mc->source.handle, iovs, n, mc->partial ? MP_PARTIAL : 0);

    if (rc < 0) {
        mc->output_error = -rc;
        return;
    }

    mc->writing = size;
    ngx_megapipe.nwriting++;
}


static void
ngx_megapipe_dequeue(ngx_megapipe_conn_t *mc)
{
    if (mc->flush) {
        ngx_queue_remove(&mc->unflushed);
        mc->flush = 0;
    }
}


/* while one write is in flight, the next one collects */

void
ngx_megapipe_flush_connection(ngx_megapipe_conn_t *mc)
{
    ngx_megapipe_dequeue(mc);

    if (mc->writing == 0 && mc->output && !mc->output_error) {
        ngx_megapipe_write_output(mc);
    }
}


/* The channel has all output, and goes on to its end by itself. */

ngx_uint_t
ngx_megapipe_all_asked(ngx_megapipe_conn_t *mc)
{
    return mc->writing == mc->output_size && !(mc->writing && mc->partial);
}


/* before the channel is asked for completions: a round is over */

void
ngx_megapipe_flush_all(void)
{
    ngx_queue_t  *q;

    ngx_megapipe.producers_before = ngx_megapipe.producers;
    ngx_megapipe.producers = 0;
    ngx_megapipe.produced = 0;

    while (!ngx_queue_empty(&ngx_megapipe.unflushed)) {
        q = ngx_queue_head(&ngx_megapipe.unflushed);

        ngx_megapipe_flush_connection(ngx_queue_data(q, ngx_megapipe_conn_t,
                                                     unflushed));
    }
}


/* bytes that the kernel has taken */

static void
ngx_megapipe_taken(ngx_megapipe_conn_t *mc, size_t n)
{
    size_t                   left;
    ngx_megapipe_segment_t  *segment;

    mc->output_size -= n;

    while (n) {
        segment = mc->output;
        left = segment->size - segment->sent;

        if (n < left) {
            segment->sent += n;
            return;
        }

        n -= left;
        mc->output = segment->next;
        ngx_megapipe_free_segment(segment);
    }
}


/* What is left of a segment moves to one that it fills better. */

static void
ngx_megapipe_shrink(ngx_megapipe_conn_t *mc)
{
    size_t                   left;
    ngx_megapipe_segment_t  *segment, *smaller;

    segment = mc->output;
    left = segment->size - segment->sent;

    smaller = ngx_megapipe_smaller_segment(segment, left);
    if (smaller == NULL) {
        return;
    }

    ngx_memcpy(smaller->data, segment->data + segment->sent, left);
    smaller->size = left;
    smaller->next = segment->next;

    mc->output = smaller;

    if (mc->last_output == segment) {
        mc->last_output = smaller;
    }

    ngx_megapipe_free_segment(segment);
}


/*
 * A write that was short has filled the socket. After a long one, or one into
 * a socket that was full, its room is measured when more is to be sent.
 */

static void
ngx_megapipe_limit_output(ngx_megapipe_conn_t *mc, size_t asked, size_t taken)
{
    if (taken < asked) {
        mc->output_limit = NGX_MEGAPIPE_OUTPUT_LEAST;
        ngx_megapipe_shrink(mc);

    } else if (asked > NGX_MEGAPIPE_WHOLE
               || mc->output_limit < NGX_MEGAPIPE_OUTPUT_FIRST)
    {
        mc->unmeasured = 1;
    }
}


/*
 * Is nginx to go on? With half of the room, as a rule; of a slow peer it hears
 * more often, but not more often than it sets its timers.
 */

static ngx_uint_t
ngx_megapipe_is_due(ngx_megapipe_conn_t *mc)
{
    return mc->output_size <= mc->output_limit / 2
           || ngx_current_msec - mc->told >= NGX_MEGAPIPE_TELL;
}


void
ngx_megapipe_written(ngx_megapipe_conn_t *mc, struct mp_event *ev)
{
    size_t        asked;
    ngx_event_t  *wev;

    asked = mc->writing;
    mc->writing = 0;
    ngx_megapipe.nwriting--;

    if (ev->result < 0) {
        mc->output_error = -ev->result;

    } else {
        ngx_megapipe_taken(mc, ev->result);
        ngx_megapipe_limit_output(mc, asked, ev->result);
    }

    ngx_megapipe_flush_connection(mc);

    if (mc->shutdown && ngx_megapipe_all_asked(mc)) {
        (void) mp_disconnect(mc->source.handle, mc->shutdown - 1);
        mc->shutdown = 0;
    }

    if (mc->connection == NULL) {
        return;
    }

    wev = mc->connection->write;

    if (!wev->ready && (mc->output_error || ngx_megapipe_is_due(mc))) {
        mc->told = ngx_current_msec;
        ngx_megapipe_ready(wev);
    }
}


void
ngx_megapipe_free_output(ngx_megapipe_conn_t *mc)
{
    ngx_megapipe_segment_t  *segment;

    ngx_megapipe_dequeue(mc);

    if (mc->writing) {
        mc->writing = 0;
        ngx_megapipe.nwriting--;
    }

    while (mc->output) {
        segment = mc->output;
        mc->output = segment->next;
        ngx_megapipe_free_segment(segment);
    }
}


ssize_t
ngx_megapipe_send(ngx_connection_t *c, u_char *buf, size_t size)
{
    ssize_t               n;
    ngx_err_t             err;
    ngx_event_t          *wev;
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(c->fd);

    if (mc == NULL) {
        return ngx_os_io.send(c, buf, size);
    }

    wev = c->write;

    n = ngx_megapipe_write(mc, buf, size);

    ngx_log_debug3(NGX_LOG_DEBUG_EVENT, c->log, 0,
                   "megapipe send: fd:%d %z of %uz", c->fd, n, size);

    if (n > 0) {
        if (n < (ssize_t) size) {
            wev->ready = 0;
        }

        c->sent += n;

        return n;
    }

    err = ngx_socket_errno;
    wev->ready = 0;

    if (err == NGX_EAGAIN) {
        return NGX_AGAIN;
    }

    wev->error = 1;

    (void) ngx_connection_error(c, err, "send() failed");

    return NGX_ERROR;
}


/* as much of a buffer as there is room for, size at most */

static ssize_t
ngx_megapipe_send_buf(ngx_megapipe_conn_t *mc, ngx_buf_t *b, size_t size)
{
    ssize_t  n;

    if (ngx_buf_in_memory(b)) {
        n = ngx_megapipe_write(mc, b->pos, size);

        if (n > 0) {
            b->pos += n;

            if (b->in_file) {
                b->file_pos += n;
            }
        }

        return n;
    }

    n = ngx_megapipe_append_file(mc, b, size);

    if (n > 0) {
        b->file_pos += n;
    }

    return n;
}


ngx_chain_t *
ngx_megapipe_send_chain(ngx_connection_t *c, ngx_chain_t *in, off_t limit)
{
    off_t                 size;
    ssize_t               n;
    ngx_err_t             err;
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(c->fd);

    if (mc == NULL) {
        return ngx_os_io.send_chain(c, in, limit);
    }

    if (!c->write->ready) {
        return in;
    }

    if (limit == 0) {
        limit = NGX_MAX_OFF_T_VALUE;
    }

    while (in && limit) {

        if (ngx_buf_special(in->buf) || ngx_buf_size(in->buf) == 0) {
            in = in->next;
            continue;
        }

        size = ngx_min(ngx_buf_size(in->buf), limit);
        size = ngx_min(size, NGX_MEGAPIPE_OUTPUT_MAX);

        n = ngx_megapipe_send_buf(mc, in->buf, (size_t) size);

        ngx_log_debug3(NGX_LOG_DEBUG_EVENT, c->log, 0,
                       "megapipe send chain: fd:%d %z of %O", c->fd, n, size);

        if (n < 0) {
            err = ngx_errno;
            c->write->ready = 0;

            if (err == NGX_EAGAIN) {
                return in;
            }

            c->write->error = 1;
            (void) ngx_connection_error(c, err, "send() failed");

            return NGX_CHAIN_ERROR;
        }

        c->sent += n;
        limit -= n;
    }

    return in;
}
