
/*
 * What nginx's interfaces were in older releases, 1.0.15 being the oldest.
 * The rest of the module is written for those of 1.22.
 */

#ifndef _NGX_MEGAPIPE_COMPAT_H_INCLUDED_
#define _NGX_MEGAPIPE_COMPAT_H_INCLUDED_


#include <nginx.h>
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/* listening sockets of each worker: "reuseport" of nginx, or queues of ours */

#if (nginx_version >= 1009012)

#if (NGX_HAVE_REUSEPORT && NGX_HAVE_CPU_AFFINITY)
#define NGX_MEGAPIPE_HAVE_PARTITION  1
#endif

#elif (NGX_HAVE_SCHED_SETAFFINITY && defined SO_REUSEPORT)

#define NGX_MEGAPIPE_HAVE_PARTITION  1
#define NGX_MEGAPIPE_HAVE_QUEUES     1

#endif


/* dynamic modules */

#if (nginx_version >= 1009011)
#define NGX_MEGAPIPE_HAVE_DYNAMIC    1
#endif


/* ngx_notify() and thread pools */

#if (nginx_version >= 1007011)
#define NGX_MEGAPIPE_NOTIFY          ngx_megapipe_notify
#else
#define NGX_MEGAPIPE_NOTIFY          NULL
#endif


/* how much a chain of buffers may receive at most */

#if (nginx_version >= 1007007)

#define NGX_MEGAPIPE_HAVE_LIMIT      1
#define NGX_MEGAPIPE_LIMIT           , off_t limit
#define ngx_megapipe_os_recv_chain(c, in)  ngx_os_io.recv_chain(c, in, limit)

#else

#define NGX_MEGAPIPE_LIMIT
#define ngx_megapipe_os_recv_chain(c, in)  ngx_os_io.recv_chain(c, in)

#endif


/* folders, with the processes that care for them */

#if (nginx_version < 1001000)
#define ngx_megapipe_paths(cycle)    (&(cycle)->pathes)
#else
#define ngx_megapipe_paths(cycle)    (&(cycle)->paths)
#endif


/* "multipath" */

#if (nginx_version >= 1029007 && defined IPPROTO_MPTCP)
#define ngx_megapipe_is_multipath(ls)  ((ls)->protocol == IPPROTO_MPTCP)
#else
#define ngx_megapipe_is_multipath(ls)  0
#endif


/* only sockets of TCP and UNIX could listen */

#if (nginx_version >= 1009013)
#define ngx_megapipe_accepts(ev, c)  ((ev)->accept && (c)->type == SOCK_STREAM)
#else
#define ngx_megapipe_accepts(ev, c)  ((ev)->accept)
#endif


/*
 * A connection that nginx would close to make room for another. Those that
 * were accepted just now are among them in newer releases.
 */

#if (nginx_version >= 1011009)

#define ngx_megapipe_idle_are_new()                                           \
    (ngx_cycle->reusable_connections_n > 0                                    \
     && ngx_cycle->reusable_connections_n <= ngx_megapipe.taken               \
                                             + ngx_megapipe.taken_before)

#else

#define ngx_megapipe_idle_are_new()  0

#endif


/*
 * Older releases say that a worker is to end after they have closed what it
 * listens on, and look for connections that idle in every round from then on.
 */

#if (nginx_version >= 1009004)

#define ngx_megapipe_ending()        ngx_exiting
#define NGX_MEGAPIPE_IDLE_ONCE       1

#else

#define ngx_megapipe_ending()        (ngx_process == NGX_PROCESS_WORKER)
#define NGX_MEGAPIPE_IDLE_ONCE       0

#endif


#if (nginx_version < 1011000)

typedef union {
    struct sockaddr           sockaddr;
    struct sockaddr_in        sockaddr_in;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6       sockaddr_in6;
#endif
#if (NGX_HAVE_UNIX_DOMAIN)
    struct sockaddr_un        sockaddr_un;
#endif
} ngx_sockaddr_t;

#endif


#endif /* _NGX_MEGAPIPE_COMPAT_H_INCLUDED_ */
