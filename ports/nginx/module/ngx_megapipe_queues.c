
/*
 * The queues of "megapipe_partition" where nginx has no "reuseport".
 *
 * nginx's own listening socket is the first worker's queue. The master opens
 * one for each other worker beside it, on the same address; they live as long
 * as nginx's does, through reloads, and close when nginx closes it. A worker
 * takes the queues of its CPU. The one that comes after a worker that died is
 * told another CPU by these releases: it takes what nobody has, and the CPU.
 * A new binary inherits the queues, and knows them by their address.
 */

#include <ngx_megapipe.h>


#if (NGX_MEGAPIPE_HAVE_QUEUES)

#include <sys/mman.h>


/* descriptors of a new binary that may be queues */
#define NGX_MEGAPIPE_INHERITED_MAX  1024


/* the queues beside one of nginx's listening sockets, the first is worker 1 */

typedef struct {
    ngx_socket_t         listening;    /* nginx's; -1: this entry is free */
    ngx_uint_t           n;
    ngx_socket_t        *fds;
} ngx_megapipe_queues_t;


extern u_long  cpu_affinity;           /* of nginx: this worker's */


static ngx_megapipe_queues_t   *ngx_megapipe_queues;
static ngx_uint_t               ngx_megapipe_nqueues;

/* of all workers of a configuration: who has which worker's queues */
static ngx_atomic_t            *ngx_megapipe_owners;
static ngx_uint_t               ngx_megapipe_nowners;

static ngx_uint_t               ngx_megapipe_self;


static ngx_megapipe_queues_t *
ngx_megapipe_find_queues(ngx_socket_t listening)
{
    ngx_uint_t  i;

    for (i = 0; i < ngx_megapipe_nqueues; i++) {
        if (ngx_megapipe_queues[i].listening == listening) {
            return &ngx_megapipe_queues[i];
        }
    }

    return NULL;
}


static ngx_megapipe_queues_t *
ngx_megapipe_add_queues(ngx_socket_t listening, ngx_log_t *log)
{
    ngx_megapipe_queues_t  *queues;

    queues = ngx_megapipe_find_queues((ngx_socket_t) -1);

    if (queues == NULL) {
        queues = ngx_calloc((ngx_megapipe_nqueues + 1)
                            * sizeof(ngx_megapipe_queues_t), log);
        if (queues == NULL) {
            return NULL;
        }

        if (ngx_megapipe_nqueues) {
            ngx_memcpy(queues, ngx_megapipe_queues,
                       ngx_megapipe_nqueues * sizeof(ngx_megapipe_queues_t));
            ngx_free(ngx_megapipe_queues);
        }

        ngx_megapipe_queues = queues;
        queues = &queues[ngx_megapipe_nqueues++];
    }

    queues->listening = listening;
    queues->n = 0;
    queues->fds = NULL;

    return queues;
}


/* another socket that listens where nginx's does */

static ngx_socket_t
ngx_megapipe_open_queue(ngx_listening_t *ls, ngx_log_t *log)
{
    int           on;
    char         *failed;
    ngx_socket_t  s;

    on = 1;

    /* without it on nginx's own socket, no other could be bound */

    if (setsockopt(ls->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(int)) == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_socket_errno,
                      "setsockopt(SO_REUSEPORT) for %V failed",
                      &ls->addr_text);
        return -1;
    }

    s = socket(ls->sockaddr->sa_family, SOCK_STREAM|SOCK_NONBLOCK, 0);
    if (s == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_socket_errno,
                      "socket() for another queue of %V failed",
                      &ls->addr_text);
        return -1;
    }

    failed = NULL;

    if (setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(int)) == -1
        || setsockopt(s, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(int)) == -1)
    {
        failed = "setsockopt()";

#if (NGX_HAVE_INET6 && defined IPV6_V6ONLY)
    } else if (ls->sockaddr->sa_family == AF_INET6 && ls->ipv6only
               && setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY,
                             &(int) { ls->ipv6only == 1 }, sizeof(int))
                  == -1)
    {
        failed = "setsockopt(IPV6_V6ONLY)";
#endif

    } else if (bind(s, ls->sockaddr, ls->socklen) == -1) {
        failed = "bind()";

    } else if (listen(s, ls->backlog) == -1) {
        failed = "listen()";
    }

    if (failed) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_socket_errno,
                      "%s for another queue of %V failed", failed,
                      &ls->addr_text);
        (void) close(s);
        return -1;
    }

    return s;
}


static void
ngx_megapipe_trim_queues(ngx_megapipe_queues_t *queues, ngx_uint_t n)
{
    while (queues->n > n) {
        (void) close(queues->fds[--queues->n]);
    }
}


static ngx_uint_t
ngx_megapipe_is_queue(ngx_listening_t *ls, ngx_socket_t fd)
{
    int             on;
    socklen_t       len;
    ngx_sockaddr_t  addr;

    if (fd == ls->fd) {
        return 0;
    }

    len = sizeof(int);

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == -1 || !on) {
        return 0;
    }

    len = sizeof(ngx_sockaddr_t);
    ngx_memzero(&addr, len);

    return getsockname(fd, (struct sockaddr *) &addr, &len) == 0
           && len == ls->socklen && ngx_memcmp(&addr, ls->sockaddr, len) == 0;
}


/* A new binary has its queues from the old one: those that listen there. */

static ngx_int_t
ngx_megapipe_inherit_queues(ngx_listening_t *ls, ngx_log_t *log)
{
    ngx_socket_t            fd, *fds;
    ngx_megapipe_queues_t  *queues;

    if (getenv(NGINX_VAR) == NULL) {
        return NGX_OK;
    }

    queues = NULL;

    for (fd = 3; fd < NGX_MEGAPIPE_INHERITED_MAX; fd++) {

        if (!ngx_megapipe_is_queue(ls, fd)) {
            continue;
        }

        if (queues == NULL) {
            queues = ngx_megapipe_add_queues(ls->fd, log);
            fds = ngx_alloc(NGX_MEGAPIPE_INHERITED_MAX * sizeof(ngx_socket_t),
                            log);
            if (queues == NULL || fds == NULL) {
                return NGX_ERROR;
            }

            queues->fds = fds;
        }

        queues->fds[queues->n++] = fd;
    }

    return NGX_OK;
}


/* one queue for each worker but the first */

static ngx_int_t
ngx_megapipe_grow_queues(ngx_megapipe_queues_t *queues, ngx_listening_t *ls,
    ngx_uint_t n, ngx_log_t *log)
{
    ngx_socket_t  *fds;

    if (queues->n >= n) {
        return NGX_OK;
    }

    fds = ngx_alloc(n * sizeof(ngx_socket_t), log);
    if (fds == NULL) {
        return NGX_ERROR;
    }

    if (queues->fds) {
        ngx_memcpy(fds, queues->fds, queues->n * sizeof(ngx_socket_t));
        ngx_free(queues->fds);
    }

    queues->fds = fds;

    while (queues->n < n) {
        fds[queues->n] = ngx_megapipe_open_queue(ls, log);

        if (fds[queues->n] == -1) {
            return NGX_ERROR;
        }

        queues->n++;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_megapipe_update_queues(ngx_listening_t *ls, ngx_core_conf_t *ccf,
    ngx_uint_t n, ngx_log_t *log)
{
    ngx_uint_t              i;
    ngx_megapipe_queues_t  *queues;

    queues = ngx_megapipe_find_queues(ls->fd);

    if (queues == NULL) {
        if (ngx_megapipe_inherit_queues(ls, log) != NGX_OK) {
            return NGX_ERROR;
        }

        queues = ngx_megapipe_find_queues(ls->fd);
    }

    if (queues == NULL && n == 0) {
        return NGX_OK;
    }

    if (queues == NULL) {
        queues = ngx_megapipe_add_queues(ls->fd, log);
        if (queues == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_megapipe_trim_queues(queues, n);

    if (ngx_megapipe_grow_queues(queues, ls, n, log) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < queues->n; i++) {
        if (ngx_megapipe_steer_queue(ls, queues->fds[i],
                                     ngx_megapipe_cpu(ccf, i + 1), log)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* The workers of this configuration are to agree on who takes which queue. */

static ngx_int_t
ngx_megapipe_create_owners(ngx_uint_t n, ngx_log_t *log)
{
    void  *p;

    if (ngx_megapipe_owners) {
        (void) munmap((void *) ngx_megapipe_owners,
                      ngx_megapipe_nowners * sizeof(ngx_atomic_t));
        ngx_megapipe_owners = NULL;
    }

    p = mmap(NULL, n * sizeof(ngx_atomic_t), PROT_READ|PROT_WRITE,
             MAP_ANON|MAP_SHARED, -1, 0);

    if (p == MAP_FAILED) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "mmap(MAP_ANON|MAP_SHARED) failed");
        return NGX_ERROR;
    }

    ngx_megapipe_owners = p;
    ngx_megapipe_nowners = n;

    return NGX_OK;
}


/* in the master, for each configuration */

ngx_int_t
ngx_megapipe_open_queues(ngx_cycle_t *cycle, ngx_uint_t partition)
{
    ngx_uint_t        i, n;
    ngx_listening_t  *ls;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    n = partition ? ccf->worker_processes : 1;

    if (partition && ngx_megapipe_create_owners(n, cycle->log) != NGX_OK) {
        return NGX_ERROR;
    }

    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {

        if (!ngx_megapipe_is_tcp(&ls[i]) || ls[i].fd == (ngx_socket_t) -1) {
            continue;
        }

        if (ngx_megapipe_update_queues(&ls[i], ccf, n - 1, cycle->log)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* in every process: nginx has closed its own */

void
ngx_megapipe_close_queues(ngx_socket_t fd)
{
    ngx_megapipe_queues_t  *queues;

    if (fd == (ngx_socket_t) -1) {
        return;
    }

    queues = ngx_megapipe_find_queues(fd);

    if (queues == NULL) {
        return;
    }

    /* close() comes here again, and is not to find it */
    queues->listening = (ngx_socket_t) -1;

    ngx_megapipe_trim_queues(queues, 0);

    ngx_free(queues->fds);
    queues->fds = NULL;
}


static ngx_uint_t
ngx_megapipe_claim(ngx_uint_t i)
{
    ngx_atomic_uint_t  owner;

    owner = ngx_megapipe_owners[i];

    if (owner && (kill((pid_t) owner, 0) == 0 || ngx_errno != ESRCH)) {
        return 0;
    }

    if (!ngx_atomic_cmp_set(&ngx_megapipe_owners[i], owner, ngx_pid)) {
        return 0;
    }

    ngx_megapipe_self = i;

    return 1;
}


/* in a worker that begins */

void
ngx_megapipe_claim_queues(ngx_cycle_t *cycle)
{
    ngx_int_t         cpu;
    cpu_set_t         mask;
    ngx_uint_t        i;
    ngx_core_conf_t  *ccf;

    if (ngx_process != NGX_PROCESS_WORKER || ngx_megapipe_owners == NULL) {
        return;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    for (i = 0; i < ngx_megapipe_nowners; i++) {
        cpu = ngx_megapipe_cpu(ccf, i);

        if (cpu != NGX_ERROR && cpu_affinity == 1UL << cpu
            && ngx_megapipe_claim(i))
        {
            return;
        }
    }

    for (i = 0; i < ngx_megapipe_nowners; i++) {
        if (!ngx_megapipe_claim(i)) {
            continue;
        }

        cpu = ngx_megapipe_cpu(ccf, i);

        CPU_ZERO(&mask);
        CPU_SET(cpu, &mask);

        if (sched_setaffinity(0, sizeof(cpu_set_t), &mask) == -1) {
            ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno,
                          "sched_setaffinity(CPU %i) failed", cpu);
        }

        return;
    }

    ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                  "there is no queue left for this worker");
}


ngx_uint_t
ngx_megapipe_worker(ngx_listening_t *ls)
{
    return ngx_process == NGX_PROCESS_WORKER ? ngx_megapipe_self : 0;
}


/* the socket that this worker accepts from */

ngx_socket_t
ngx_megapipe_queue(ngx_listening_t *ls)
{
    ngx_megapipe_queues_t  *queues;

    queues = ngx_megapipe_self ? ngx_megapipe_find_queues(ls->fd) : NULL;

    if (queues == NULL || queues->n < ngx_megapipe_self) {
        return ls->fd;
    }

    return queues->fds[ngx_megapipe_self - 1];
}

#else

ngx_int_t
ngx_megapipe_open_queues(ngx_cycle_t *cycle, ngx_uint_t partition)
{
    return NGX_OK;
}


void
ngx_megapipe_claim_queues(ngx_cycle_t *cycle)
{
}


void
ngx_megapipe_close_queues(ngx_socket_t fd)
{
}


ngx_uint_t
ngx_megapipe_worker(ngx_listening_t *ls)
{
#if (NGX_MEGAPIPE_HAVE_PARTITION)
    return ls->worker;
#else
    return 0;
#endif
}


ngx_socket_t
ngx_megapipe_queue(ngx_listening_t *ls)
{
    return ls->fd;
}

#endif
