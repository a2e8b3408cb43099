
/*
 * The MegaPipe event module: completions of libmegapipe under nginx's
 * interface of readiness.
 *
 * The way of data:
 *
 *   accept   mp_accept() completes into the listener's queue, and the accept
 *            handler of nginx takes from it by accept4()
 *   input    mp_recv() is always in flight while nothing is unread; what it
 *            brings waits in the channel's buffer until c->recv() copies it
 *   output   c->send_chain() copies to segments and says that it is sent;
 *            the segments of one round of the event loop are one mp_sendv(),
 *            which tells each progress of the peer's
 *   files    pread without blocking, or mp_pread() where that would block,
 *            then as output
 *   close    mp_close_within(), after the writes; what is kept for a
 *            connection goes when that has completed
 *   others   descriptors whose input and output nginx does by itself (UDP,
 *            channels between processes, eventfds) are watched by an epoll
 *            instance, which the channel watches
 *
 * Socket calls of nginx itself come to ngx_megapipe_sockets.c first.
 */

#ifndef _NGX_MEGAPIPE_H_INCLUDED_
#define _NGX_MEGAPIPE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <megapipe.h>
#include <ngx_megapipe_compat.h>
#include <poll.h>
#include <sys/epoll.h>

#if (NGX_OPENSSL || NGX_SSL)
#include <openssl/ssl.h>
#endif


/*
 * What a connection may have in the channel and not with the kernel yet: at
 * first; as much as its socket has room for, to a limit; and where that is full
 */
#define NGX_MEGAPIPE_OUTPUT_FIRST  (64 * 1024)
#define NGX_MEGAPIPE_OUTPUT_MAX    (256 * 1024)
#define NGX_MEGAPIPE_OUTPUT_LEAST  (4 * 1024 - 64)

/* output that is written as a whole: sockets hold three times that, as a rule */
#define NGX_MEGAPIPE_WHOLE         (16 * 1024)

/* what is written to it at once, at most */
#define NGX_MEGAPIPE_SEGMENT_MAX   (128 * 1024 - 64)


/* what the master has decided for all workers */

typedef struct {
    ngx_err_t                 error;
    ngx_err_t                 again_error; /* for twice as many */
    char                      engine[16];  /* "": not decided */
    uint32_t                  buffers;
    uint32_t                  completions;
    struct mp_engine_info     info;
    char                      why[384];
    char                      again_why[384];
} ngx_megapipe_choice_t;


typedef struct {
    ngx_uint_t                engine;
    ngx_int_t                 batch;
    ngx_int_t                 moderation_us;
    ngx_flag_t                lwsocket;
    ngx_flag_t                partition;
    ngx_uint_t                balance;     /* partition is the default */
    ngx_bufs_t                buffers;
    ngx_megapipe_choice_t     choice;
} ngx_megapipe_conf_t;


typedef struct ngx_megapipe_source_s    ngx_megapipe_source_t;
typedef struct ngx_megapipe_listener_s  ngx_megapipe_listener_t;
typedef struct ngx_megapipe_conn_s      ngx_megapipe_conn_t;
typedef struct ngx_megapipe_read_s      ngx_megapipe_read_t;
typedef struct ngx_megapipe_segment_s   ngx_megapipe_segment_t;


typedef enum {
    NGX_MEGAPIPE_CONNECTION = 0,
    NGX_MEGAPIPE_LISTENER,
    NGX_MEGAPIPE_FILE,
    NGX_MEGAPIPE_READINESS
} ngx_megapipe_kind_e;


/* what completions belong to: the head of everything that is a cookie */

struct ngx_megapipe_source_s {
    ngx_megapipe_kind_e       kind;
    struct mp_handle         *handle;
    ngx_socket_t              fd;
    void                    (*complete)(ngx_megapipe_source_t *source,
                                  struct mp_event *ev);
};


typedef struct {
    ngx_socket_t              fd;
    socklen_t                 len;         /* 0: to be asked for */
    ngx_sockaddr_t            addr;
} ngx_megapipe_accepted_t;


struct ngx_megapipe_listener_s {
    ngx_megapipe_source_t     source;
    ngx_connection_t         *connection;  /* nginx's, or own */

    /* in nginx's place, which has closed it: until the last one is accepted */
    ngx_connection_t          own;
    ngx_event_t               own_read;
    ngx_event_t               close_timer;

    /* not taken by nginx yet: a ring */
    ngx_megapipe_accepted_t  *accepted;
    ngx_uint_t                first;
    ngx_uint_t                naccepted;
    ngx_uint_t                size;

    ngx_err_t                 error;
    size_t                    output_limit; /* of its connections, at first */
    unsigned                  nodelay:1;
    unsigned                  closed:1;
};


/* bytes on their way out */

struct ngx_megapipe_segment_s {
    ngx_megapipe_segment_t   *next;
    size_t                    room;
    size_t                    size;
    size_t                    sent;        /* of size */
    u_char                    data[];
};


struct ngx_megapipe_conn_s {
    ngx_megapipe_source_t     source;
    ngx_connection_t         *connection;  /* NULL when nginx has closed it */

    struct mp_event           input;       /* the buffer that is held */
    u_char                   *copy;        /* ... or what was left in it */
    ngx_queue_t               holding;
    u_char                   *pos;
    u_char                   *last;
    ngx_err_t                 input_error;
    ngx_err_t                 leave_error;

    ngx_megapipe_segment_t   *output;      /* not taken by the kernel yet */
    ngx_megapipe_segment_t   *last_output;
    size_t                    output_size;
    size_t                    output_limit;
    size_t                    writing;     /* of these, by mp_sendv() */
    ngx_msec_t                told;        /* of progress, the last time */
    ngx_err_t                 output_error;
    ngx_queue_t               unflushed;

    ngx_megapipe_read_t      *reading;     /* of a file, for output */

    ngx_event_t               close_timer;
    uint64_t                  acknowledged;
    ngx_uint_t                stalls;
    ngx_megapipe_conn_t      *next;        /* of those that are free */

    unsigned                  receiving:1;
    unsigned                  held:1;
    unsigned                  has_read:1;
    unsigned                  watched:1;   /* for the peer to leave */
    unsigned                  left:1;      /* ... which it has */
    unsigned                  eof:1;
    unsigned                  flush:1;
    unsigned                  partial:1;   /* mp_sendv() may do less */
    unsigned                  unmeasured:1; /* the room of the socket */
    unsigned                  shutdown:2;  /* 1 + how, when all is sent */
    unsigned                  connecting:1;
    unsigned                  nodelay:1;
    unsigned                  reset:1;
    unsigned                  spared:1;
    unsigned                  timedout:1;
    unsigned                  closing:1;   /* by nginx */
    unsigned                  closed:1;    /* mp_close_within() was called */
};


typedef struct {
    struct mp_channel        *channel;
    ngx_megapipe_conf_t      *conf;
    ngx_log_t                *log;
    ngx_uint_t                flags;       /* of ngx_process_events() */
    ngx_queue_t               unflushed;   /* connections with new output */
    ngx_queue_t               holding;     /* ... that hold a buffer */
    ngx_uint_t                nwriting;
    size_t                    produced;    /* of output, in this round */
    ngx_uint_t                producers;   /* ... by so many connections */
    ngx_uint_t                producers_before;
    ngx_uint_t                completed;   /* since it was tidied */
    ngx_msec_t                tidied;
    ngx_uint_t                taken;       /* connections, in this round */
    ngx_uint_t                taken_before;
    uint64_t                  lwsocket_waits;  /* when it was told last */
    unsigned                  was_busy:1;
    unsigned                  paused:1;
    unsigned                  sparing:1;
    unsigned                  finishing:1;
} ngx_megapipe_t;


/* ngx_megapipe_module.c */

extern ngx_megapipe_t   ngx_megapipe;
extern ngx_module_t     ngx_megapipe_module;

/* this thread has the channel: others write() while the tables grow */
extern __thread ngx_uint_t  ngx_megapipe_is_here;

ngx_megapipe_conf_t *ngx_megapipe_used(ngx_cycle_t *cycle);
void ngx_megapipe_options(ngx_cycle_t *cycle, ngx_megapipe_conf_t *mcf,
    struct mp_options *options);

/* ngx_megapipe_choice.c */

char *ngx_megapipe_choose(ngx_cycle_t *cycle, ngx_megapipe_conf_t *mcf);
void ngx_megapipe_tell_choice(ngx_cycle_t *cycle, ngx_megapipe_conf_t *mcf);

/* ngx_megapipe_partition.c */

ngx_int_t ngx_megapipe_cpu(ngx_core_conf_t *ccf, ngx_uint_t worker);
ngx_uint_t ngx_megapipe_is_tcp(ngx_listening_t *ls);
ngx_int_t ngx_megapipe_steer_queue(ngx_listening_t *ls, ngx_socket_t fd,
    ngx_int_t cpu, ngx_log_t *log);
ngx_int_t ngx_megapipe_steer(ngx_cycle_t *cycle);
cpu_set_t *ngx_megapipe_cpu_mask(ngx_listening_t *ls);
void ngx_megapipe_steer_own(ngx_uint_t on);

/* ngx_megapipe_balance.c */

ngx_int_t ngx_megapipe_count_anew(ngx_cycle_t *cycle, ngx_uint_t n);
void ngx_megapipe_count_accepted(void);

/* ngx_megapipe_queues.c */

ngx_int_t ngx_megapipe_open_queues(ngx_cycle_t *cycle, ngx_uint_t partition);
void ngx_megapipe_claim_queues(ngx_cycle_t *cycle);
ngx_uint_t ngx_megapipe_worker(ngx_listening_t *ls);
ngx_socket_t ngx_megapipe_queue(ngx_listening_t *ls);
void ngx_megapipe_close_queues(ngx_socket_t fd);

/* ngx_megapipe_events.c */

ngx_int_t ngx_megapipe_add_event(ngx_event_t *ev, ngx_int_t event,
    ngx_uint_t flags);
ngx_int_t ngx_megapipe_del_event(ngx_event_t *ev, ngx_int_t event,
    ngx_uint_t flags);
ngx_int_t ngx_megapipe_add_connection(ngx_connection_t *c);
ngx_int_t ngx_megapipe_del_connection(ngx_connection_t *c, ngx_uint_t flags);
ngx_int_t ngx_megapipe_process_events(ngx_cycle_t *cycle, ngx_msec_t timer,
    ngx_uint_t flags);
void ngx_megapipe_ready(ngx_event_t *ev);
void ngx_megapipe_finish(void);

/* ngx_megapipe_accept.c */

ngx_int_t ngx_megapipe_listen(ngx_connection_t *c);
ngx_int_t ngx_megapipe_stop_listening(ngx_connection_t *c, ngx_uint_t flags);
void ngx_megapipe_close_listener(ngx_megapipe_listener_t *l, ngx_socket_t fd);
ngx_megapipe_listener_t *ngx_megapipe_listener(ngx_socket_t fd);
ngx_megapipe_listener_t *ngx_megapipe_asked(ngx_socket_t fd);
ngx_socket_t ngx_megapipe_accept(ngx_megapipe_listener_t *l,
    struct sockaddr *addr, socklen_t *len);
void ngx_megapipe_resume_accepting(void);

/* ngx_megapipe_connection.c */

ngx_int_t ngx_megapipe_install(ngx_socket_t fd, ngx_megapipe_source_t *source);
ngx_megapipe_source_t *ngx_megapipe_find(ngx_socket_t fd,
    ngx_megapipe_kind_e kind);
ngx_megapipe_conn_t *ngx_megapipe_connection(ngx_socket_t fd);
ngx_megapipe_conn_t *ngx_megapipe_open(ngx_socket_t fd);
int ngx_megapipe_connect(ngx_megapipe_conn_t *mc, const struct sockaddr *addr,
    socklen_t len);
void ngx_megapipe_close(ngx_megapipe_conn_t *mc);
void ngx_megapipe_spare_idle(void);
void ngx_megapipe_spared(void);
void ngx_megapipe_forget_all(void);

/* ngx_megapipe_input.c */

void ngx_megapipe_receive(ngx_megapipe_conn_t *mc);
void ngx_megapipe_received(ngx_megapipe_conn_t *mc, struct mp_event *ev);
void ngx_megapipe_release(ngx_megapipe_conn_t *mc);
void ngx_megapipe_keep_input(void);
void ngx_megapipe_left(ngx_megapipe_conn_t *mc, struct mp_event *ev);
ssize_t ngx_megapipe_read(ngx_megapipe_conn_t *mc, u_char *buf, size_t size,
    ngx_uint_t peek);
ssize_t ngx_megapipe_recv(ngx_connection_t *c, u_char *buf, size_t size);
ssize_t ngx_megapipe_recv_chain(ngx_connection_t *c,
    ngx_chain_t *in NGX_MEGAPIPE_LIMIT);

/* ngx_megapipe_segments.c */

ngx_megapipe_segment_t *ngx_megapipe_alloc_segment(size_t size);
void ngx_megapipe_free_segment(ngx_megapipe_segment_t *segment);
ngx_megapipe_segment_t *ngx_megapipe_smaller_segment(
    ngx_megapipe_segment_t *segment, size_t size);
ngx_msec_t ngx_megapipe_tidy(ngx_msec_t timer);

/* ngx_megapipe_output.c */

void ngx_megapipe_append(ngx_megapipe_conn_t *mc,
    ngx_megapipe_segment_t *segment);
void ngx_megapipe_extend(ngx_megapipe_conn_t *mc,
    ngx_megapipe_segment_t *segment, size_t size);
size_t ngx_megapipe_output_room(ngx_megapipe_conn_t *mc);
void ngx_megapipe_flush_connection(ngx_megapipe_conn_t *mc);
ngx_uint_t ngx_megapipe_all_asked(ngx_megapipe_conn_t *mc);
void ngx_megapipe_flush_all(void);
void ngx_megapipe_written(ngx_megapipe_conn_t *mc, struct mp_event *ev);
void ngx_megapipe_free_output(ngx_megapipe_conn_t *mc);
ssize_t ngx_megapipe_write(ngx_megapipe_conn_t *mc, u_char *buf, size_t size);
ssize_t ngx_megapipe_send(ngx_connection_t *c, u_char *buf, size_t size);
ngx_chain_t *ngx_megapipe_send_chain(ngx_connection_t *c, ngx_chain_t *in,
    off_t limit);

/* ngx_megapipe_file.c */

ssize_t ngx_megapipe_append_file(ngx_megapipe_conn_t *mc, ngx_buf_t *b,
    size_t size);
void ngx_megapipe_stop_reading(ngx_megapipe_conn_t *mc);
void ngx_megapipe_close_file(ngx_fd_t fd);

/* ngx_megapipe_readiness.c */

ngx_int_t ngx_megapipe_readiness_init(ngx_log_t *log);
void ngx_megapipe_readiness_done(void);
ngx_int_t ngx_megapipe_watch(ngx_event_t *ev, ngx_int_t event,
    ngx_uint_t flags);
ngx_int_t ngx_megapipe_unwatch(ngx_event_t *ev, ngx_int_t event,
    ngx_uint_t flags);
ngx_int_t ngx_megapipe_watch_connection(ngx_connection_t *c);
ngx_int_t ngx_megapipe_unwatch_connection(ngx_connection_t *c,
    ngx_uint_t flags);
ngx_int_t ngx_megapipe_notify(ngx_event_handler_pt handler);

/* ngx_megapipe_aio.c */

void ngx_megapipe_aio_init(ngx_log_t *log);
void ngx_megapipe_aio_done(void);

/* ngx_megapipe_sockets.c */

int __wrap_accept(int fd, struct sockaddr *addr, socklen_t *len);
int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int __real_connect(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len);
ssize_t __wrap_recv(int fd, void *buf, size_t size, int flags);
ssize_t __wrap___recv_chk(int fd, void *buf, size_t size, size_t room,
    int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t size, int flags);
int __wrap_shutdown(int fd, int how);
int __wrap_close(int fd);
int __wrap_setsockopt(int fd, int level, int name, const void *value,
    socklen_t len);
int __wrap_getsockopt(int fd, int level, int name, void *value,
    socklen_t *len);
int __wrap_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
int __wrap_getpeername(int fd, struct sockaddr *addr, socklen_t *len);
int __wrap_ioctl(int fd, unsigned long request, void *arg);

/* ngx_megapipe_others.c */

ssize_t __wrap_read(int fd, void *buf, size_t size);
ssize_t __wrap___read_chk(int fd, void *buf, size_t size, size_t room);
ssize_t __wrap_write(int fd, const void *buf, size_t size);
ssize_t __wrap_readv(int fd, const struct iovec *iov, int n);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int n);
ssize_t __wrap_recvfrom(int fd, void *buf, size_t size, int flags,
    struct sockaddr *addr, socklen_t *len);
ssize_t __wrap___recvfrom_chk(int fd, void *buf, size_t size, size_t room,
    int flags, struct sockaddr *addr, socklen_t *len);
ssize_t __wrap_sendto(int fd, const void *buf, size_t size, int flags,
    const struct sockaddr *addr, socklen_t len);
ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_sendfile(int out, int in, off_t *offset, size_t size);
ssize_t __wrap_sendfile64(int out, int in, off_t *offset, size_t size);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);

/* ngx_megapipe_ssl.c */

#if (NGX_OPENSSL || NGX_SSL)
int __wrap_SSL_set_fd(SSL *ssl, int fd);
#endif

/* ngx_megapipe_modules.c */

ngx_int_t ngx_megapipe_redirect_modules(ngx_cycle_t *cycle);


#endif /* _NGX_MEGAPIPE_H_INCLUDED_ */
