
/*
 * Files: read into segments of output. What is in memory is read at once,
 * what would block is read by the channel, and the connection waits.
 */

#include <ngx_megapipe.h>
#include <sys/vfs.h>
#include <sys/uio.h>


#define NGX_MEGAPIPE_TMPFS  0x01021994
#define NGX_MEGAPIPE_RAMFS  0x858458f6


/* What is known of an open file for which reading without blocking fails. */

typedef struct {
    ngx_megapipe_source_t     source;
    ngx_queue_t               reads;       /* in flight, in order */
    unsigned                  in_memory:1;
} ngx_megapipe_file_t;


struct ngx_megapipe_read_s {
    ngx_queue_t               queue;
    ngx_megapipe_conn_t      *conn;        /* NULL if it is closed */
    ngx_megapipe_segment_t   *segment;
    ngx_fd_t                  fd;
    off_t                     offset;
    ngx_err_t                 error;
    unsigned                  done:1;
};


static ngx_megapipe_file_t *ngx_megapipe_file(ngx_fd_t fd);
static ngx_megapipe_file_t *ngx_megapipe_open_file(ngx_fd_t fd);
static ssize_t ngx_megapipe_pread(ngx_fd_t fd, u_char *buf, size_t size,
    off_t offset);
static ssize_t ngx_megapipe_append_now(ngx_megapipe_conn_t *mc, ngx_fd_t fd,
    off_t offset, size_t size);
static ngx_int_t ngx_megapipe_start_reading(ngx_megapipe_conn_t *mc,
    ngx_fd_t fd, off_t offset, size_t size);
static ssize_t ngx_megapipe_append_read(ngx_megapipe_conn_t *mc, ngx_fd_t fd,
    off_t offset, size_t size);
static void ngx_megapipe_file_complete(ngx_megapipe_source_t *source,
    struct mp_event *ev);
static void ngx_megapipe_free_read(ngx_megapipe_read_t *rd);


/*
 * Append what comes next in a file to the output: bytes; or -1 and errno,
 * EAGAIN where the connection has to wait.
 */

ssize_t
ngx_megapipe_append_file(ngx_megapipe_conn_t *mc, ngx_buf_t *b, size_t size)
{
    ssize_t   n;
    ngx_fd_t  fd;

    fd = b->file->fd;

    if (mc->output_error) {
        ngx_set_errno(mc->output_error);
        return -1;
    }

    size = ngx_min(size, ngx_megapipe_output_room(mc));
    size = ngx_min(size, NGX_MEGAPIPE_SEGMENT_MAX);

    if (size == 0) {
        ngx_set_errno(NGX_EAGAIN);
        return -1;
    }

    if (mc->reading) {
        n = ngx_megapipe_append_read(mc, fd, b->file_pos, size);

    } else {
        n = ngx_megapipe_append_now(mc, fd, b->file_pos, size);

        if (n == -1 && ngx_errno == NGX_EAGAIN
            && ngx_megapipe_start_reading(mc, fd, b->file_pos, size) == NGX_OK)
        {
            ngx_set_errno(NGX_EAGAIN);
        }
    }

    if (n == 0) {
        ngx_log_error(NGX_LOG_ALERT, ngx_megapipe.log, 0,
                      "file \"%s\" was truncated at %O",
                      b->file->name.data, b->file_pos);
        ngx_set_errno(EIO);
        return -1;
    }

    return n;
}


static ssize_t
ngx_megapipe_append_now(ngx_megapipe_conn_t *mc, ngx_fd_t fd, off_t offset,
    size_t size)
{
    ssize_t                  n;
    ngx_megapipe_segment_t  *segment;

    segment = mc->output ? mc->last_output : NULL;

    if (segment && segment->room - segment->size >= size) {
        n = ngx_megapipe_pread(fd, segment->data + segment->size, size,
                               offset);
        if (n > 0) {
            ngx_megapipe_extend(mc, segment, n);
        }

        return n;
    }

    segment = ngx_megapipe_alloc_segment(size);
    if (segment == NULL) {
        ngx_set_errno(NGX_ENOMEM);
        return -1;
    }

    n = ngx_megapipe_pread(fd, segment->data, size, offset);

    if (n > 0) {
        segment->size = n;
        ngx_megapipe_append(mc, segment);

    } else {
        ngx_megapipe_free_segment(segment);
    }

    return n;
}


/* pread() that doesn't wait for a disk: EAGAIN where it would */

static ssize_t
ngx_megapipe_pread(ngx_fd_t fd, u_char *buf, size_t size, off_t offset)
{
    ssize_t               n;
    struct iovec          iov;
    ngx_megapipe_file_t  *file;

    file = ngx_megapipe_file(fd);

    if (file == NULL) {

        iov.iov_base = buf;
        iov.iov_len = size;

        n = preadv2(fd, &iov, 1, offset, RWF_NOWAIT);

        if (n != -1 || (ngx_errno != EOPNOTSUPP && ngx_errno != ENOSYS)) {
            return n;
        }

        file = ngx_megapipe_open_file(fd);
        if (file == NULL) {
            ngx_set_errno(NGX_ENOMEM);
            return -1;
        }
    }

    if (file->in_memory) {
        return pread(fd, buf, size, offset);
    }

    ngx_set_errno(NGX_EAGAIN);
    return -1;
}


static ngx_megapipe_file_t *
ngx_megapipe_file(ngx_fd_t fd)
{
    return (ngx_megapipe_file_t *) ngx_megapipe_find(fd, NGX_MEGAPIPE_FILE);
}


static ngx_megapipe_file_t *
ngx_megapipe_open_file(ngx_fd_t fd)
{
    struct statfs         fs;
    ngx_megapipe_file_t  *file;

    file = ngx_calloc(sizeof(ngx_megapipe_file_t), ngx_megapipe.log);
    if (file == NULL) {
        return NULL;
    }

    file->source.kind = NGX_MEGAPIPE_FILE;
    file->source.complete = ngx_megapipe_file_complete;
    file->source.fd = fd;

    ngx_queue_init(&file->reads);

    if (fstatfs(fd, &fs) == 0
        && (fs.f_type == NGX_MEGAPIPE_TMPFS || fs.f_type == NGX_MEGAPIPE_RAMFS))
    {
        file->in_memory = 1;
    }

    if (ngx_megapipe_install(fd, &file->source) != NGX_OK) {
        ngx_free(file);
        return NULL;
    }

    return file;
}


/* -1 and errno EAGAIN becomes a read in the channel */

static ngx_int_t
ngx_megapipe_start_reading(ngx_megapipe_conn_t *mc, ngx_fd_t fd, off_t offset,
    size_t size)
{
    int                   rc;
    ngx_megapipe_file_t  *file;
    ngx_megapipe_read_t  *rd;

    file = ngx_megapipe_file(fd);
    file = file ? file : ngx_megapipe_open_file(fd);
    rd = ngx_calloc(sizeof(ngx_megapipe_read_t), ngx_megapipe.log);

    if (file == NULL || rd == NULL) {
        goto failed;
    }

    rd->segment = ngx_megapipe_alloc_segment(size);
    if (rd->segment == NULL) {
        goto failed;
    }

    if (file->source.handle == NULL) {
        rc = mp_register(ngx_megapipe.channel, fd, file, NULL,
                         &file->source.handle);
        if (rc < 0) {
            ngx_set_errno(-rc);
            goto failed;
        }
    }

    rc = mp_pread(file->source.handle, rd->segment->data, size, offset);
    if (rc < 0) {
        ngx_set_errno(-rc);
        goto failed;
    }

    rd->conn = mc;
    rd->fd = fd;
    rd->offset = offset;

    ngx_queue_insert_tail(&file->reads, &rd->queue);
    mc->reading = rd;

    return NGX_OK;

failed:

    if (rd) {
        ngx_megapipe_free_read(rd);
    }

    return NGX_ERROR;
}


static void
ngx_megapipe_file_complete(ngx_megapipe_source_t *source, struct mp_event *ev)
{
    ngx_megapipe_file_t *file = (ngx_megapipe_file_t *) source;

    ngx_queue_t          *q;
    ngx_megapipe_conn_t  *mc;
    ngx_megapipe_read_t  *rd;

    q = ngx_queue_head(&file->reads);
    ngx_queue_remove(q);

    rd = ngx_queue_data(q, ngx_megapipe_read_t, queue);
    mc = rd->conn;

    if (mc == NULL) {
        ngx_megapipe_free_read(rd);
        return;
    }

    rd->done = 1;

    if (ev->result < 0) {
        rd->error = -ev->result;

    } else {
        rd->segment->size = ev->result;
    }

    if (mc->connection) {
        ngx_megapipe_ready(mc->connection->write);
    }
}


/* what the channel has read, if it is what nginx wants now */

static ssize_t
ngx_megapipe_append_read(ngx_megapipe_conn_t *mc, ngx_fd_t fd, off_t offset,
    size_t size)
{
    ssize_t               n;
    ngx_megapipe_read_t  *rd;

    rd = mc->reading;

    if (!rd->done) {
        ngx_set_errno(NGX_EAGAIN);
        return -1;
    }

    mc->reading = NULL;

    if (rd->fd != fd || rd->offset != offset) {
        ngx_megapipe_free_read(rd);
        return ngx_megapipe_append_now(mc, fd, offset, size);
    }

    if (rd->error || rd->segment->size == 0) {
        ngx_set_errno(rd->error);
        n = rd->error ? -1 : 0;

    } else if (rd->segment->size <= size) {
        n = rd->segment->size;
        ngx_megapipe_append(mc, rd->segment);
        rd->segment = NULL;

    } else {
        n = ngx_megapipe_write(mc, rd->segment->data, size);
    }

    ngx_megapipe_free_read(rd);

    return n;
}


static void
ngx_megapipe_free_read(ngx_megapipe_read_t *rd)
{
    if (rd->segment) {
        ngx_megapipe_free_segment(rd->segment);
    }

    ngx_free(rd);
}


/* The connection is closed: what is being read for it is for nobody. */

void
ngx_megapipe_stop_reading(ngx_megapipe_conn_t *mc)
{
    ngx_megapipe_read_t  *rd;

    rd = mc->reading;

    if (rd == NULL) {
        return;
    }

    mc->reading = NULL;
    rd->conn = NULL;

    if (rd->done) {
        ngx_megapipe_free_read(rd);
    }
}


/* before nginx closes a file */

void
ngx_megapipe_close_file(ngx_fd_t fd)
{
    ngx_queue_t          *q;
    ngx_megapipe_file_t  *file;
    ngx_megapipe_read_t  *rd;

    file = ngx_megapipe_file(fd);

    if (file == NULL) {
        return;
    }

    if (file->source.handle) {
        (void) mp_unregister(file->source.handle);
    }

    while (!ngx_queue_empty(&file->reads)) {
        q = ngx_queue_head(&file->reads);
        ngx_queue_remove(q);

        rd = ngx_queue_data(q, ngx_megapipe_read_t, queue);

        if (rd->conn) {
            rd->conn->reading = NULL;
        }

        ngx_megapipe_free_read(rd);
    }

    ngx_megapipe_install(fd, NULL);
    ngx_free(file);
}
