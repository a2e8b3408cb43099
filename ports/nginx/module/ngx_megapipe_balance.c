
/*
 * Where partition is the default, nobody has said that connections come in on
 * all CPUs: a network card may have one receive queue, or one client may send
 * all. A worker that gets many while another one gets few then gives its CPU
 * up for a minute, and the kernel spreads over all queues what comes in there.
 */

#include <ngx_megapipe.h>


#if (NGX_MEGAPIPE_HAVE_PARTITION && !NGX_MEGAPIPE_HAVE_QUEUES)

#include <sys/mman.h>


/* a worker looks around each so many connections of its own ... */
#define NGX_MEGAPIPE_LOOK    256

/* ... and leaves it at that where everybody else got so many */
#define NGX_MEGAPIPE_FEW     (NGX_MEGAPIPE_LOOK / 4)

#define NGX_MEGAPIPE_SPREAD  60000


typedef struct {
    ngx_atomic_t           accepted;
    u_char                 padding[64 - sizeof(ngx_atomic_t)];
} ngx_megapipe_share_t;


/* of all workers of a configuration, in memory that they share */
static ngx_megapipe_share_t  *ngx_megapipe_shares;
static ngx_uint_t             ngx_megapipe_nshares;

/* of this worker */
static ngx_atomic_uint_t     *ngx_megapipe_seen;
static ngx_uint_t             ngx_megapipe_spreads;
static ngx_msec_t             ngx_megapipe_spread_until;


/* in the master, for each configuration */

ngx_int_t
ngx_megapipe_count_anew(ngx_cycle_t *cycle, ngx_uint_t n)
{
    if (ngx_megapipe_shares) {
        (void) munmap(ngx_megapipe_shares,
                      ngx_megapipe_nshares * sizeof(ngx_megapipe_share_t));
        ngx_megapipe_shares = NULL;
    }

    if (n == 0) {
        return NGX_OK;
    }

    ngx_megapipe_shares = mmap(NULL, n * sizeof(ngx_megapipe_share_t),
                               PROT_READ|PROT_WRITE, MAP_ANON|MAP_SHARED, -1,
                               0);

    if (ngx_megapipe_shares == MAP_FAILED) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "mmap(MAP_ANON|MAP_SHARED) failed");
        ngx_megapipe_shares = NULL;
        return NGX_ERROR;
    }

    ngx_megapipe_nshares = n;

    return NGX_OK;
}


/* how many somebody else got who got the fewest, since the last look */

static ngx_atomic_uint_t
ngx_megapipe_fewest(void)
{
    ngx_uint_t         i;
    ngx_atomic_uint_t  accepted, fewest;

    fewest = NGX_MEGAPIPE_LOOK;

    for (i = 0; i < ngx_megapipe_nshares; i++) {
        accepted = ngx_megapipe_shares[i].accepted;

        if (i != ngx_worker) {
            fewest = ngx_min(fewest, accepted - ngx_megapipe_seen[i]);
        }

        ngx_megapipe_seen[i] = accepted;
    }

    return fewest;
}


static void
ngx_megapipe_look(void)
{
    ngx_uint_t  few;

    if (ngx_megapipe_seen == NULL) {
        ngx_megapipe_seen = ngx_calloc(ngx_megapipe_nshares
                                       * sizeof(ngx_atomic_uint_t),
                                       ngx_megapipe.log);
        if (ngx_megapipe_seen == NULL) {
            return;
        }
    }

    few = ngx_megapipe_fewest() < NGX_MEGAPIPE_FEW;

    if (!ngx_megapipe_spreads && few) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_megapipe.log, 0,
                      "megapipe: worker %ui gets more connections than others, "
                      "those of its CPU go to all for a minute", ngx_worker);

        ngx_megapipe_spreads = 1;
        ngx_megapipe_spread_until = ngx_current_msec + NGX_MEGAPIPE_SPREAD;
        ngx_megapipe_steer_own(0);

    } else if (ngx_megapipe_spreads
               && (ngx_msec_int_t) (ngx_current_msec
                                    - ngx_megapipe_spread_until) > 0)
    {
        ngx_megapipe_spreads = 0;
        ngx_megapipe_steer_own(1);
    }
}


/* in a worker, for each connection */

void
ngx_megapipe_count_accepted(void)
{
    if (ngx_megapipe_shares == NULL || ngx_worker >= ngx_megapipe_nshares) {
        return;
    }

    /* nobody else writes to it */

    if (++ngx_megapipe_shares[ngx_worker].accepted % NGX_MEGAPIPE_LOOK == 0) {
        ngx_megapipe_look();
    }
}

#else

ngx_int_t
ngx_megapipe_count_anew(ngx_cycle_t *cycle, ngx_uint_t n)
{
    return NGX_OK;
}


void
ngx_megapipe_count_accepted(void)
{
}

#endif
