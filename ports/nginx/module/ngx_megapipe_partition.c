
/*
 * Partitioned listening sockets (the paper, section 3.4.1): an accept queue a
 * worker, for the connections that come in on the worker's CPU.
 *
 * The queues are listening sockets of nginx's own, as made by "reuseport":
 * they belong to the master process, so that a new worker goes on with the
 * queue of the old one, and a new binary inherits them. For releases that have
 * no "reuseport" see ngx_megapipe_queues.c.
 */

#include <ngx_megapipe.h>


static char *ngx_megapipe_core_init_conf(ngx_cycle_t *cycle, void *conf);
static char *ngx_megapipe_partition_init_conf(ngx_cycle_t *cycle,
    ngx_megapipe_conf_t *mcf);


static ngx_core_module_t  ngx_megapipe_partition_module_ctx = {
    ngx_string("megapipe_partition"),
    NULL,
    ngx_megapipe_core_init_conf
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

#if (NGX_MEGAPIPE_HAVE_QUEUES)

ngx_int_t
ngx_megapipe_cpu(ngx_core_conf_t *ccf, ngx_uint_t worker)
{
    u_long  mask;

    if (ccf->cpu_affinity == NULL || ccf->cpu_affinity_n == 0) {
        return NGX_ERROR;
    }

    mask = ccf->cpu_affinity[ngx_min(worker, ccf->cpu_affinity_n - 1)];

    if (mask == 0 || (mask & (mask - 1)) != 0) {
        return NGX_ERROR;
    }

    return __builtin_ctzl(mask);
}

#else

/* the CPUs that nginx may run on: of taskset, a cpuset, or all */
static cpu_set_t  ngx_megapipe_allowed;


static ngx_int_t
ngx_megapipe_nth_cpu(cpu_set_t *mask, ngx_uint_t n)
{
    ngx_uint_t  cpu;

    for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, mask) && n-- == 0) {
            return cpu;
        }
    }

    return NGX_ERROR;
}


ngx_int_t
ngx_megapipe_cpu(ngx_core_conf_t *ccf, ngx_uint_t worker)
{
    ngx_uint_t     i, n;
    ngx_cpuset_t  *mask;

    if (ccf->cpu_affinity == NULL || ccf->cpu_affinity_n == 0) {

        /* not pinned: a worker is mostly woken on the CPU that receives */

        n = CPU_COUNT(&ngx_megapipe_allowed);

        return n ? ngx_megapipe_nth_cpu(&ngx_megapipe_allowed, worker % n)
                 : NGX_ERROR;
    }

    i = ccf->cpu_affinity_auto ? ccf->cpu_affinity_n - 1
                               : ngx_min(worker, ccf->cpu_affinity_n - 1);

    mask = &ccf->cpu_affinity[i];
    n = CPU_COUNT(mask);

    if (n == 0 || (!ccf->cpu_affinity_auto && n != 1)) {
        return NGX_ERROR;
    }

    return ngx_megapipe_nth_cpu(mask, ccf->cpu_affinity_auto ? worker % n : 0);
}

#endif


/* is there one for each worker? */

static ngx_uint_t
ngx_megapipe_has_cpus(ngx_core_conf_t *ccf)
{
    ngx_int_t  i;

#if !(NGX_MEGAPIPE_HAVE_QUEUES)
    if (sched_getaffinity(0, sizeof(cpu_set_t), &ngx_megapipe_allowed) == -1) {
        CPU_ZERO(&ngx_megapipe_allowed);
    }
#endif

    for (i = 0; i < ccf->worker_processes; i++) {
        if (ngx_megapipe_cpu(ccf, i) == NGX_ERROR) {
            return 0;
        }
    }

    return 1;
}


/*
 * Without worker_cpu_affinity: a worker for each CPU at least. CPUs that no
 * worker is for would bring nothing, and a worker alone has nothing to divide.
 */

static ngx_uint_t
ngx_megapipe_has_workers(ngx_core_conf_t *ccf)
{
#if (NGX_MEGAPIPE_HAVE_QUEUES)
    return 1;
#else
    ngx_int_t  n;

    n = CPU_COUNT(&ngx_megapipe_allowed);

    return ccf->cpu_affinity_n
           || (n > 1 && ccf->worker_processes >= n);
#endif
}


static ngx_uint_t
ngx_megapipe_kernel_steers(void)
{
    struct mp_engine_info  info;

    return mp_engine_probe("epoll", &info) == 0
           && strstr(info.features, "partition") != NULL;
}


/* MPTCP has queues of its own: it is shared by all workers */

ngx_uint_t
ngx_megapipe_is_tcp(ngx_listening_t *ls)
{
    return ls->type == SOCK_STREAM && !ngx_megapipe_is_multipath(ls)
           && (ls->sockaddr->sa_family == AF_INET
#if (NGX_HAVE_INET6)
               || ls->sockaddr->sa_family == AF_INET6
#endif
              );
}

#endif


/* when all is read, and nothing opened or closed for it yet */

static char *
ngx_megapipe_core_init_conf(ngx_cycle_t *cycle, void *conf)
{
    ngx_megapipe_conf_t  *mcf;

    mcf = ngx_megapipe_used(cycle);

    if (mcf == NULL) {
        return NGX_CONF_OK;
    }

    if (ngx_megapipe_partition_init_conf(cycle, mcf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_megapipe_choose(cycle, mcf);
}


static char *
ngx_megapipe_partition_init_conf(ngx_cycle_t *cycle, ngx_megapipe_conf_t *mcf)
{
#if (NGX_MEGAPIPE_HAVE_PARTITION)
    ngx_core_conf_t      *ccf;
#if !(NGX_MEGAPIPE_HAVE_QUEUES)
    ngx_uint_t            i;
    ngx_listening_t      *ls;
#endif
#endif

    if (mcf->partition == 0) {
        return NGX_CONF_OK;
    }

#if (NGX_MEGAPIPE_HAVE_PARTITION)

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (mcf->partition == NGX_CONF_UNSET) {
        mcf->partition = ngx_megapipe_has_cpus(ccf)
                         && ngx_megapipe_has_workers(ccf)
                         && ngx_megapipe_kernel_steers();
        mcf->balance = mcf->partition;

    } else if (!ngx_megapipe_has_cpus(ccf)) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "\"megapipe_partition on\" needs one CPU for each "
                      "worker: \"worker_cpu_affinity auto\"");
        return NGX_CONF_ERROR;
    }

    /* a process alone has nothing to divide */

    if (!ccf->master) {
        mcf->partition = 0;
    }

    if (!mcf->partition) {
        return NGX_CONF_OK;
    }

#if !(NGX_MEGAPIPE_HAVE_QUEUES)

    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {
        if (ngx_megapipe_is_tcp(&ls[i])) {
            ls[i].reuseport = 1;
        }
    }

#endif

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


#if (NGX_MEGAPIPE_HAVE_PARTITION)

/* Give a queue the connections of a CPU, or with -1 those of all. */

ngx_int_t
ngx_megapipe_steer_queue(ngx_listening_t *ls, ngx_socket_t fd, ngx_int_t cpu,
    ngx_log_t *log)
{
    int        now, wanted;
    socklen_t  len;

    /* not a word to the kernel where nothing is asked of it */

    wanted = cpu;
    len = sizeof(int);

    if (getsockopt(fd, SOL_SOCKET, SO_INCOMING_CPU, &now, &len) == 0
        && now == wanted)
    {
        return NGX_OK;
    }

    if (setsockopt(fd, SOL_SOCKET, SO_INCOMING_CPU, &wanted, sizeof(int))
        == -1)
    {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_socket_errno,
                      "setsockopt(SO_INCOMING_CPU, %d) for %V failed",
                      wanted, &ls->addr_text);
        return NGX_ERROR;
    }

    return NGX_OK;
}

#endif


/* In the master: give each worker's queue the connections of its CPU. */

ngx_int_t
ngx_megapipe_steer(ngx_cycle_t *cycle)
{
#if (NGX_MEGAPIPE_HAVE_PARTITION)
    ngx_int_t             cpu;
    ngx_uint_t            i, partition;
    ngx_core_conf_t      *ccf;
    ngx_listening_t      *ls;
    ngx_megapipe_conf_t  *mcf;

    if (ngx_test_config) {
        return NGX_OK;
    }

    mcf = ngx_megapipe_used(cycle);
    partition = mcf && mcf->partition;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {

        if (!ngx_megapipe_is_tcp(&ls[i]) || ls[i].fd == (ngx_socket_t) -1) {
            continue;
        }

        cpu = partition ? ngx_megapipe_cpu(ccf, ngx_megapipe_worker(&ls[i]))
                        : -1;

        if (ngx_megapipe_steer_queue(&ls[i], ls[i].fd, cpu, cycle->log)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ngx_megapipe_count_anew(cycle, partition && mcf->balance
                                      ? (ngx_uint_t) ccf->worker_processes
                                      : 0)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_megapipe_open_queues(cycle, partition);
#else
    return NGX_OK;
#endif
}


#if (NGX_MEGAPIPE_HAVE_PARTITION && !NGX_MEGAPIPE_HAVE_QUEUES)

/* In a worker: take the connections of its CPU, or leave them to all. */

void
ngx_megapipe_steer_own(ngx_uint_t on)
{
    ngx_int_t         cpu;
    ngx_uint_t        i;
    ngx_core_conf_t  *ccf;
    ngx_listening_t  *ls;

    ccf = (ngx_core_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                           ngx_core_module);
    cpu = on ? ngx_megapipe_cpu(ccf, ngx_worker) : -1;
    ls = ngx_cycle->listening.elts;

    for (i = 0; i < ngx_cycle->listening.nelts; i++) {
        if (ngx_megapipe_is_tcp(&ls[i]) && ls[i].fd != (ngx_socket_t) -1
            && ls[i].worker == ngx_worker)
        {
            (void) ngx_megapipe_steer_queue(&ls[i], ls[i].fd, cpu,
                                            ngx_cycle->log);
        }
    }
}

#endif


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
        cpu = ngx_megapipe_cpu(ccf, ngx_megapipe_worker(ls));

#if !(NGX_MEGAPIPE_HAVE_QUEUES)

        /* one that has died may have left them to all */

        if (ngx_megapipe_steer_queue(ls, ls->fd, cpu, ngx_cycle->log)
            != NGX_OK)
        {
            return NULL;
        }

#endif

        if (cpu != NGX_ERROR) {
            CPU_ZERO(&mask);
            CPU_SET(cpu, &mask);
            return &mask;
        }
    }
#endif

    return NULL;
}
