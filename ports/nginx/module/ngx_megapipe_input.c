
/*
 * Input: the bytes that mp_recv() brings, until nginx asks for them.
 */

#include <ngx_megapipe.h>
#include <poll.h>


/* Ask for more when all is read: the channel holds the rest back. */

void
ngx_megapipe_receive(ngx_megapipe_conn_t *mc)
{
    int  rc;

    if (mc->receiving || mc->held || mc->eof || mc->input_error
        || mc->connecting || mc->closing)
    {
        return;
    }

    rc = mp_recv(mc->source.handle);

    if (rc < 0) {
        mc->input_error = -rc;
        return;
    }

    mc->receiving = 1;
}


void
ngx_megapipe_received(ngx_megapipe_conn_t *mc, struct mp_event *ev)
{
    mc->receiving = 0;

    if (ev->result > 0) {
#if !(NGX_MEGAPIPE_IDLE_ONCE)
        mc->spared = 0;
#endif
        mc->input = *ev;
        mc->pos = ev->recv.data;
        mc->last = mc->pos + ev->result;
        mc->held = 1;

        ngx_queue_insert_tail(&ngx_megapipe.holding, &mc->holding);

        if (mc->closing) {
            ngx_megapipe_release(mc);
        }

    } else if (ev->result == 0) {
        mc->eof = 1;

    } else {
        mc->input_error = -ev->result;
    }

    if (mc->connection) {
        ngx_megapipe_ready(mc->connection->read);
    }
}


void
ngx_megapipe_release(ngx_megapipe_conn_t *mc)
{
    if (!mc->held) {
        return;
    }

    mc->held = 0;

    if (mc->copy) {
        ngx_free(mc->copy);
        mc->copy = NULL;
        return;
    }

    ngx_queue_remove(&mc->holding);
    (void) mp_release(ngx_megapipe.channel, &mc->input);
}


/*
 * What nginx has not read by the end of a round it may not want for long, such
 * as requests behind one that waits for its upstream. It leaves the channel's
 * buffers, without which nobody else could be received from.
 */

void
ngx_megapipe_keep_input(void)
{
    size_t                size;
    ngx_queue_t          *q;
    ngx_megapipe_conn_t  *mc;

    while (!ngx_queue_empty(&ngx_megapipe.holding)) {

        q = ngx_queue_head(&ngx_megapipe.holding);
        mc = ngx_queue_data(q, ngx_megapipe_conn_t, holding);
        size = mc->last - mc->pos;

        mc->copy = ngx_alloc(size, ngx_megapipe.log);
        if (mc->copy == NULL) {
            return;
        }

        ngx_memcpy(mc->copy, mc->pos, size);
        mc->pos = mc->copy;
        mc->last = mc->copy + size;

        ngx_queue_remove(q);
        (void) mp_release(ngx_megapipe.channel, &mc->input);
    }
}


/*
 * While input is held nothing more is received, and the end would not be seen.
 * nginx looks at the first byte of a connection to tell protocols apart; later
 * it does so to learn whether the client is still there, and then it is watched.
 */

static void
ngx_megapipe_watch_peer(ngx_megapipe_conn_t *mc)
{
    if (!mc->watched && mc->has_read
        && mp_poll(mc->source.handle, POLLRDHUP) == 0)
    {
        mc->watched = 1;
    }
}


void
ngx_megapipe_left(ngx_megapipe_conn_t *mc, struct mp_event *ev)
{
    if (ev->result < 0) {
        mc->watched = 0;
        return;
    }

    mc->left = 1;
    mc->leave_error = (ev->result & POLLERR) ? NGX_ECONNRESET : 0;

    if (mc->held && mc->connection) {
        ngx_megapipe_ready(mc->connection->read);
    }
}


/* the peer has left, behind input that is held */

static ssize_t
ngx_megapipe_peek_left(ngx_megapipe_conn_t *mc)
{
    if (mc->leave_error) {
        ngx_set_errno(mc->leave_error);
        return -1;
    }

    return 0;
}


/* recv() on a connection of ours: bytes, 0 at the end, -1 and errno */

ssize_t
ngx_megapipe_read(ngx_megapipe_conn_t *mc, u_char *buf, size_t size,
    ngx_uint_t peek)
{
    if (mc->held) {

        if (peek) {
            ngx_megapipe_watch_peer(mc);

            if (mc->left) {
                return ngx_megapipe_peek_left(mc);
            }
        }

        size = ngx_min(size, (size_t) (mc->last - mc->pos));
        ngx_memcpy(buf, mc->pos, size);

        if (!peek) {
            mc->has_read = 1;
            mc->pos += size;

            if (mc->pos == mc->last) {
                ngx_megapipe_release(mc);
                ngx_megapipe_receive(mc);
            }
        }

        return size;
    }

    if (mc->eof) {
        return 0;
    }

    if (mc->input_error) {
        ngx_set_errno(mc->input_error);
        return -1;
    }

    ngx_megapipe_receive(mc);

    ngx_set_errno(NGX_EAGAIN);
    return -1;
}


static ngx_uint_t
ngx_megapipe_is_readable(ngx_megapipe_conn_t *mc)
{
    return mc->held || mc->eof || mc->input_error;
}


ssize_t
ngx_megapipe_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    ssize_t               n;
    ngx_err_t             err;
    ngx_event_t          *rev;
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(c->fd);

    if (mc == NULL) {
        return ngx_os_io.recv(c, buf, size);
    }

    rev = c->read;

    n = ngx_megapipe_read(mc, buf, size, 0);

    ngx_log_debug3(NGX_LOG_DEBUG_EVENT, c->log, 0,
                   "megapipe recv: fd:%d %z of %uz", c->fd, n, size);

    if (n > 0) {
        rev->ready = ngx_megapipe_is_readable(mc);
        return n;
    }

    rev->ready = 0;

    if (n == 0) {
        rev->eof = 1;
        return 0;
    }

    err = ngx_socket_errno;

    if (err == NGX_EAGAIN) {
        return NGX_AGAIN;
    }

    rev->error = 1;

    return ngx_connection_error(c, err, "recv() failed");
}


ssize_t
ngx_megapipe_recv_chain(ngx_connection_t *c,
    ngx_chain_t *in NGX_MEGAPIPE_LIMIT)
{
    size_t                size;
    ssize_t               n, total;
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(c->fd);

    if (mc == NULL) {
        return ngx_megapipe_os_recv_chain(c, in);
    }

    for (total = 0; in; in = in->next) {

        size = in->buf->end - in->buf->last;

#if (NGX_MEGAPIPE_HAVE_LIMIT)
        if (limit) {
            if (total >= limit) {
                break;
            }

            size = ngx_min((off_t) size, limit - total);
        }
#endif

        if (size == 0) {
            continue;
        }

        if (total && !mc->held) {
            break;
        }

        n = ngx_megapipe_recv(c, in->buf->last, size);

        if (n <= 0) {
            return n;
        }

        total += n;

        if ((size_t) n < size) {
            break;
        }
    }

    return total ? total : NGX_AGAIN;
}
