
/*
 * Segments: the memory of output, and what of it is given back.
 */

#include <ngx_megapipe.h>
#include <malloc.h>
#include <sys/mman.h>


/* a worker gives back what it doesn't need when a second was quiet */
#define NGX_MEGAPIPE_TIDY          1000
#define NGX_MEGAPIPE_QUIET         1000

/* segments are kept for the next use, by size */

#define NGX_MEGAPIPE_SEGMENT_KINDS  3


static size_t  ngx_megapipe_rooms[NGX_MEGAPIPE_SEGMENT_KINDS] = {
    4096 - sizeof(ngx_megapipe_segment_t),
    32768 - sizeof(ngx_megapipe_segment_t),
    NGX_MEGAPIPE_SEGMENT_MAX
};

/* 1 MB, 1 MB, 2 MB */

static ngx_uint_t  ngx_megapipe_keep[NGX_MEGAPIPE_SEGMENT_KINDS] = {
    256, 32, 16
};

static ngx_uint_t  ngx_megapipe_kept[NGX_MEGAPIPE_SEGMENT_KINDS];

static ngx_megapipe_segment_t
    *ngx_megapipe_free_segments[NGX_MEGAPIPE_SEGMENT_KINDS];


static ngx_uint_t
ngx_megapipe_segment_kind(size_t size)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_MEGAPIPE_SEGMENT_KINDS - 1; i++) {
        if (size <= ngx_megapipe_rooms[i]) {
            break;
        }
    }

    return i;
}


/*
 * Large segments are pages of their own: among the pools in malloc()'s heap,
 * what many clients needed for a moment would stay with the worker.
 */

static ngx_uint_t
ngx_megapipe_is_mapped(ngx_uint_t kind)
{
#if (NGX_DEBUG_PALLOC)
    return 0;
#else
    return kind > 0;
#endif
}


static ngx_megapipe_segment_t *
ngx_megapipe_new_segment(ngx_uint_t kind)
{
    void    *p;
    size_t   size;

    size = sizeof(ngx_megapipe_segment_t) + ngx_megapipe_rooms[kind];

    if (!ngx_megapipe_is_mapped(kind)) {
        return ngx_alloc(size, ngx_megapipe.log);
    }

    p = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1,
             0);

    if (p == MAP_FAILED) {
        ngx_log_error(NGX_LOG_EMERG, ngx_megapipe.log, ngx_errno,
                      "mmap(%uz) failed", size);
        return NULL;
    }

    return p;
}


static void
ngx_megapipe_delete_segment(ngx_megapipe_segment_t *segment, ngx_uint_t kind)
{
    if (!ngx_megapipe_is_mapped(kind)) {
        ngx_free(segment);
        return;
    }

    (void) munmap(segment, sizeof(ngx_megapipe_segment_t) + segment->room);
}


/* A segment has room for size bytes, or for as many as one can have. */

ngx_megapipe_segment_t *
ngx_megapipe_alloc_segment(size_t size)
{
    ngx_uint_t               i;
    ngx_megapipe_segment_t  *segment;

    i = ngx_megapipe_segment_kind(size);

    segment = ngx_megapipe_free_segments[i];

    if (segment) {
        ngx_megapipe_free_segments[i] = segment->next;
        ngx_megapipe_kept[i]--;

    } else {
        segment = ngx_megapipe_new_segment(i);
        if (segment == NULL) {
            return NULL;
        }
    }

    segment->next = NULL;
    segment->room = ngx_megapipe_rooms[i];
    segment->size = 0;
    segment->sent = 0;

    return segment;
}


void
ngx_megapipe_free_segment(ngx_megapipe_segment_t *segment)
{
    ngx_uint_t  i;

    i = ngx_megapipe_segment_kind(segment->room);

    if (ngx_megapipe_kept[i] == ngx_megapipe_keep[i]) {
        ngx_megapipe_delete_segment(segment, i);
        return;
    }

    segment->next = ngx_megapipe_free_segments[i];
    ngx_megapipe_free_segments[i] = segment;
    ngx_megapipe_kept[i]++;
}


/* one for size bytes, if there is a kind that they fill better */

ngx_megapipe_segment_t *
ngx_megapipe_smaller_segment(ngx_megapipe_segment_t *segment, size_t size)
{
    if (ngx_megapipe_segment_kind(size)
        == ngx_megapipe_segment_kind(segment->room))
    {
        return NULL;
    }

    return ngx_megapipe_alloc_segment(size);
}


static void
ngx_megapipe_delete_kept(void)
{
    ngx_uint_t               i;
    ngx_megapipe_segment_t  *segment;

    for (i = 0; i < NGX_MEGAPIPE_SEGMENT_KINDS; i++) {

        while (ngx_megapipe_free_segments[i]) {
            segment = ngx_megapipe_free_segments[i];
            ngx_megapipe_free_segments[i] = segment->next;

            ngx_megapipe_delete_segment(segment, i);
        }

        ngx_megapipe_kept[i] = 0;
    }
}


/*
 * Completions come in batches, so that many requests are served side by side,
 * and a worker's heap grows to what they need together. It is given back when
 * there is little else to do: after a time of work, in the first second that
 * was quiet. The time to wait for events at most is returned.
 */

ngx_msec_t
ngx_megapipe_tidy(ngx_msec_t timer)
{
    ngx_uint_t  is_busy;

    if (ngx_megapipe.completed == 0 && !ngx_megapipe.was_busy) {
        return timer;
    }

    timer = ngx_min(timer, NGX_MEGAPIPE_TIDY);

    if (ngx_current_msec - ngx_megapipe.tidied < NGX_MEGAPIPE_TIDY) {
        return timer;
    }

    is_busy = ngx_megapipe.completed >= NGX_MEGAPIPE_QUIET;

    if (!is_busy) {
        ngx_megapipe_delete_kept();
#if defined(__GLIBC__)
        (void) malloc_trim(0);
#endif
    }

    ngx_megapipe.was_busy = is_busy;
    ngx_megapipe.completed = 0;
    ngx_megapipe.tidied = ngx_current_msec;

    return timer;
}
