
/*
 * Partitioned listening sockets (the paper, section 3.4.1): an accept queue a
 * worker, for the connections that come in on the worker's CPU.
 *
 * The queues are listening sockets of nginx's own, as made by "reuseport":
 * they belong to the master process, so that a new worker goes on with the
 * queue of the old one, and a new binary inherits them.
 */

#include <ngx_megapipe.h>


#if (NGX_HAVE_REUSEPORT && NGX_HAVE_CPU_AFFINITY)
#define NGX_MEGAPIPE_HAVE_PARTITION  1
#endif


static char *ngx_megapipe_partition_init_conf(ngx_cycle_t *cycle, void *conf);


static ngx_core_module_t  ngx_megapipe_partition_module_ctx = {
    ngx_string("megapipe_partition"),
    NULL,
    ngx_megapipe_partition_init_conf
};

ngx_module_t  ngx_megapipe_partition_module = {
    NGX_MODULE_V1,
    &ngx_megapipe_partition_module_ctx,  /* module context */
    NULL,                                /* module directives */
    NGX_CORE_MODULE,                     /* module type */
    NULL,                                /* init master */
    NULL,                                /* init module */
    NULL,                                /* init process */
    NULL,                                /* init thread */
    NULL,                                /* exit thread */
    NULL,                                /* exit process */
    NULL,                                /* exit master */
    NGX_MODULE_V1_PADDING
};


#if (NGX_MEGAPIPE_HAVE_PARTITION)

/* the only CPU of a worker, or NGX_ERROR */

static ngx_int_t
ngx_megapipe_cpu(ngx_core_conf_t *ccf, ngx_uint_t worker)
{
    ngx_uint_t     i, n, cpu;
    ngx_cpuset_t  *mask;

    if (ccf->cpu_affinity == NULL || ccf->cpu_affinity_n == 0) {
        return NGX_ERROR;
    }

    i = ccf->cpu_affinity_auto ? ccf->cpu_affinity_n - 1
                               : ngx_min(worker, ccf->cpu_affinity_n - 1);

    mask = &ccf->cpu_affinity[i];
    n = CPU_COUNT(mask);

    if (n == 0 || (!ccf->cpu_affinity_auto && n != 1)) {
        return NGX_ERROR;
    }

    n = ccf->cpu_affinity_auto ? worker % n : 0;

    for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, mask) && n-- == 0) {
            return cpu;
        }
    }

    return NGX_ERROR;
}


static ngx_uint_t
ngx_megapipe_is_pinned(ngx_core_conf_t *ccf)
{
    ngx_int_t  i;

    for (i = 0; i < ccf->worker_processes; i++) {
        if (ngx_megapipe_cpu(ccf, i) == NGX_ERROR) {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_megapipe_is_tcp(ngx_listening_t *ls)
{
    return ls->type == SOCK_STREAM
           && (ls->sockaddr->sa_family == AF_INET
#if (NGX_HAVE_INET6)
               || ls->sockaddr->sa_family == AF_INET6
#endif
              );
}

#endif


static char *
ngx_megapipe_partition_init_conf(ngx_cycle_t *cycle, void *conf)
{
#if (NGX_MEGAPIPE_HAVE_PARTITION)
    ngx_uint_t            i;
    ngx_core_conf_t      *ccf;
    ngx_listening_t      *ls;
#endif
    ngx_megapipe_conf_t  *mcf;

    mcf = ngx_megapipe_used(cycle);

    if (mcf == NULL || mcf->partition == 0) {
        return NGX_CONF_OK;
    }

#if (NGX_MEGAPIPE_HAVE_PARTITION)

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (!ngx_megapipe_is_pinned(ccf)) {

        if (mcf->partition == NGX_CONF_UNSET) {
            mcf->partition = 0;
            return NGX_CONF_OK;
        }

        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "\"megapipe_partition on\" needs one CPU for each "
                      "worker: add \"worker_cpu_affinity auto\"");
        return NGX_CONF_ERROR;
    }

    /* a process alone has nothing to divide */

    mcf->partition = ccf->master;

    if (!ccf->master) {
        return NGX_CONF_OK;
    }

    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {
        if (ngx_megapipe_is_tcp(&ls[i])) {
            ls[i].reuseport = 1;
        }
    }

    return NGX_CONF_OK;

#else

    if (mcf->partition == NGX_CONF_UNSET) {
        mcf->partition = 0;
        return NGX_CONF_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                  "\"megapipe_partition on\": this nginx was built without "
                  "SO_REUSEPORT or sched_setaffinity()");
    return NGX_CONF_ERROR;

#endif
}


/* In the master: give each worker's queue the connections of its CPU. */

ngx_int_t
ngx_megapipe_steer(ngx_cycle_t *cycle)
{
#if (NGX_MEGAPIPE_HAVE_PARTITION)
    int                   cpu, now;
    socklen_t             len;
    ngx_uint_t            i;
    ngx_core_conf_t      *ccf;
    ngx_listening_t      *ls;
    ngx_megapipe_conf_t  *mcf;

    if (ngx_test_config) {
        return NGX_OK;
    }

    mcf = ngx_megapipe_used(cycle);
    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {

        if (!ngx_megapipe_is_tcp(&ls[i]) || ls[i].fd == (ngx_socket_t) -1) {
            continue;
        }

        cpu = (mcf && mcf->partition) ? ngx_megapipe_cpu(ccf, ls[i].worker)
                                      : -1;

        /* not a word to the kernel where nothing is asked of it */

        len = sizeof(int);
        if (getsockopt(ls[i].fd, SOL_SOCKET, SO_INCOMING_CPU, &now, &len) == 0
            && now == cpu)
        {
            continue;
        }

        if (setsockopt(ls[i].fd, SOL_SOCKET, SO_INCOMING_CPU, &cpu,
                       sizeof(int))
            == -1)
        {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_socket_errno,
                          "setsockopt(SO_INCOMING_CPU, %d) for %V failed",
                          cpu, &ls[i].addr_text);
            return NGX_ERROR;
        }
    }
#endif

    return NGX_OK;
}


/* In a worker: the CPUs that this listening socket serves; NULL: all. */

cpu_set_t *
ngx_megapipe_cpu_mask(ngx_listening_t *ls)
{
#if (NGX_MEGAPIPE_HAVE_PARTITION)
    ngx_int_t         cpu;
    ngx_core_conf_t  *ccf;

    static cpu_set_t  mask;

    ccf = (ngx_core_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                           ngx_core_module);

    if (ngx_megapipe.conf->partition && ngx_megapipe_is_tcp(ls)) {
        cpu = ngx_megapipe_cpu(ccf, ls->worker);

        if (cpu != NGX_ERROR) {
            CPU_ZERO(&mask);
            CPU_SET(cpu, &mask);
            return &mask;
        }
    }
#endif

    return NULL;
}
