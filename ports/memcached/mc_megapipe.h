/* -*- Mode: C; tab-width: 4; c-basic-offset: 4; indent-tabs-mode: nil -*- */
/*
 * Connections whose I/O goes through MegaPipe channels (libmegapipe).
 *
 * Each worker thread has a channel and waits in mp_dispatch() instead of in
 * libevent. It accepts from its own accept queues, so that a connection lives
 * and dies in one thread. The state machine stays as it is: where it would
 * read() or sendmsg(), the channel is asked to, the machine is left as on
 * EAGAIN, and it is entered again when the operation is complete, and then
 * finds the result.
 *
 * Included by memcached.h; only with --enable-megapipe.
 */
#ifndef MC_MEGAPIPE_H
#define MC_MEGAPIPE_H

#include "mc_megapipe_shared.h"
#include "mc_megapipe_compat.h"
#include "queue.h"

struct megapipe_udp;
struct megapipe_listener;

TAILQ_HEAD(megapipe_queue, conn);

/* A worker thread's part. */
struct megapipe_thread {
    struct mp_channel *channel;     /* NULL after its loop */
    const char *engine;
    struct mp_handle *notify;       /* the eventfd that wakes the worker */
    uint64_t notified;              /* ... is read into here */
#ifdef MEGAPIPE_IO_EVENTFD
    struct mp_handle *io_notify;    /* the eventfd of IO objects that come back */
    uint64_t io_notified;
#endif
    bool stopping;
    struct megapipe_listener *listeners;
    conn *free_conns;               /* closed ones, linked by conn->next */
    struct megapipe_queue yielded;  /* have more to do when others had a turn */
    struct megapipe_queue readers;  /* read their values after another's */
    conn *reader;                   /* ... this one's */
    uint64_t value_bytes;           /* of all values that are being read */
    uint64_t blocked_bytes;         /* of values and responses: wait for peers */
    uint64_t in_hand_max;           /* the others, before requests wait */
    struct megapipe_queue unnamed;  /* whose addresses nobody has asked for */
    struct mp_stats stats;          /* copy for others; by LIBEVENT_THREAD's stats.mutex */
    struct megapipe_told told[MEGAPIPE_TROUBLES];
};

/* A connection's part. Owned by its worker thread. */
struct megapipe_conn {
    struct mp_handle *handle; /* NULL: the channel doesn't have it (any more) */
    int fd;                   /* -1: an lwsocket, which has none */

    /* One read at a time, and its result until conn's read() takes it. */
    bool reading;
    bool read_direct;         /* ... into an item's memory */
    bool read_done;
    ssize_t read_result;
    struct mp_event received; /* the channel's buffer, to be given back */
    char *unread;             /* what is in it still */
    size_t unread_len;
    char *kept;               /* ... or in this memory, if it isn't NULL */
    bool leaving;             /* a command waits for megapipe_detach() */

    /* One write at a time, and its result until transmit() takes it. */
    bool writing;
    bool write_done;
    ssize_t write_result;

    bool closing;             /* until MP_CLOSE nobody else may have it */
    uint64_t value_bytes;     /* of the value that is being read */
    struct megapipe_queue *queue; /* in which it waits for its turn */
    TAILQ_ENTRY(conn) queue_link;

    /* stats conns, stats megapipe: see megapipe_may_process() */
    bool peer_asked;          /* request_addr is filled, unless it is gone */
    bool unnamed;             /* local isn't filled */
    TAILQ_ENTRY(conn) unnamed_link;
    struct sockaddr_storage *local;
    bool wants_names;
    bool reported;
    int reports_due;          /* threads that haven't answered yet; atomic */

    struct megapipe_udp *udp;

#ifdef TLS
    struct {
        bool eof;             /* the last read told the end */
        bool blocked;         /* OpenSSL goes on when all is sent */
        int sends;            /* records, or several, that are being sent */
        ssize_t send_error;
        ssize_t written;      /* bytes of the one write at a time */
    } tls;
#endif
};

/* Numbers of connections begin where those of fds end. */
int megapipe_conn_numbers(int first);

/* Worker threads. */
void megapipe_thread_init(LIBEVENT_THREAD *me);
void megapipe_loop(LIBEVENT_THREAD *me);
void megapipe_stop(LIBEVENT_THREAD *me);

/* The main thread's loop. */
void megapipe_watch_stop(struct event_base *base);
void megapipe_wake_main(void);
int megapipe_wakeup_fd(void);

/* Listening: from the main thread, and in each worker. */
void megapipe_listen(conn *listener);
void megapipe_accept_conns(bool do_accept);
void megapipe_conn_gone(void);

/* Connections. */
void megapipe_conn_init(conn *c);
bool megapipe_udp_start(conn *c);
bool megapipe_wait(conn *c);
bool megapipe_has_unread(const conn *c);
bool megapipe_sent(conn *c, ssize_t *res);
ssize_t megapipe_read(conn *c, void *buf, size_t count);
ssize_t megapipe_sendmsg(conn *c, struct msghdr *msg, int flags);
ssize_t megapipe_recvfrom(conn *c);
void megapipe_yield(conn *c);
void megapipe_conn_close(conn *c);
void megapipe_peer(conn *c);
void megapipe_forget_names(conn *c);

bool megapipe_attached(conn *c);
bool megapipe_detach(conn *c);
void megapipe_ask_value(conn *c, void *buf, size_t count);
ssize_t megapipe_take(conn *c, void *buf, size_t count);

/* -o drop_privileges (mc_megapipe_priv.c). */
int megapipe_allow_worker(void *ctx);
int megapipe_allow_main(void *ctx);
void megapipe_drop_privileges(void);

/* TLS (mc_megapipe_tls.c). */
#ifdef TLS
#define megapipe_is_tls(c) ((c)->ssl != NULL)
#define megapipe_wants_tls(listener) ((listener)->ssl_enabled)
#define megapipe_tls_is_on() settings.ssl_enabled
#else
#define megapipe_is_tls(c) false
#define megapipe_wants_tls(listener) false
#define megapipe_tls_is_on() false
#endif
bool megapipe_tls_start(conn *c, const conn *listener);
void megapipe_tls_end(conn *c);
void megapipe_tls_end_all(LIBEVENT_THREAD *me);
bool megapipe_tls_waits(const conn *c);
bool megapipe_tls_has_unread(const conn *c);
bool megapipe_tls_sends(const conn *c);
bool megapipe_tls_sent(conn *c, ssize_t result);

/* Commands that need more than their own thread (mc_megapipe_commands.c). */
bool megapipe_may_process(conn *c, const char *line, size_t len);
bool megapipe_may_stat(conn *c, const char *key, size_t len);
int megapipe_fd(const conn *c);
int megapipe_getsockname(const conn *c, struct sockaddr *addr, socklen_t *len);

#endif
