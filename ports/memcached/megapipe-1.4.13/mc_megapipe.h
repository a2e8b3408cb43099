/* -*- Mode: C; tab-width: 4; c-basic-offset: 4; indent-tabs-mode: nil -*- */
/*
 * memcached 1.4.13 whose connections do their I/O through MegaPipe channels
 * (libmegapipe), adapted as in the paper (section 4.2):
 *
 * - Each worker thread has a channel, and waits in mp_dispatch() instead of in
 *   libevent.
 * - It accepts for itself, from its own part of each listening socket.
 * - States that did I/O are in two halves. The first asks the channel, and the
 *   machine stops; the second (..._done, and conn_read after conn_waiting)
 *   goes on with the result when the operation is complete. So a connection
 *   has one operation in flight at most, and none when it is closed.
 *
 * Included by memcached.h; only with --enable-megapipe.
 */
#ifndef MC_MEGAPIPE_H
#define MC_MEGAPIPE_H

#include "mc_megapipe_shared.h"

struct megapipe_listener;

/* A worker thread's part. */
struct megapipe_thread {
    struct mp_channel *channel;
    const char *engine;
    struct mp_handle *notify;       /* the pipe that wakes the worker */
    struct megapipe_listener *listeners;
    bool paused;                    /* accepts nobody, until there is room */
    struct megapipe_waiting waiting;
    conn *yielded;                  /* have more to do when others had a turn, */
    conn **last_yielded;            /* ... linked by conn->next */
    struct mp_stats stats;          /* copy for others; by LIBEVENT_THREAD's stats.mutex */
    struct megapipe_told told[MEGAPIPE_TROUBLES];
};

/* A connection's part. */
struct megapipe_conn {
    struct mp_handle *handle;
    ssize_t result;           /* of the operation, for the state's second half */
    struct mp_event received; /* the channel's buffer, to be given back */
    char *unread;             /* what is in it still */
    size_t unread_len;
    struct msghdr in;         /* a UDP message is received by this */
    struct iovec in_iov;
    int nreqs;                /* requests left in this turn, while a response is sent */
};

/* Worker threads. */
void megapipe_thread_init(LIBEVENT_THREAD *me);
void megapipe_loop(LIBEVENT_THREAD *me);

/* Listening: from the main thread, and in each worker. */
void megapipe_listen(int sfd, enum network_transport transport);
void megapipe_listen_worker(LIBEVENT_THREAD *me, int sfd, enum network_transport transport);

/* First halves of states: true if the machine has to stop until the second. */
bool megapipe_wait(conn *c);
bool megapipe_wait_item(conn *c);
bool megapipe_send(conn *c);
bool megapipe_close(conn *c);

/* Second halves: as read(), recvfrom() and sendmsg() tell. */
ssize_t megapipe_read(conn *c, void *buf, size_t count);
ssize_t megapipe_skip(conn *c, size_t count);
ssize_t megapipe_recvfrom(conn *c);
ssize_t megapipe_sent(conn *c);

void megapipe_udp_start(conn *c);
void megapipe_yield(conn *c);

#endif
