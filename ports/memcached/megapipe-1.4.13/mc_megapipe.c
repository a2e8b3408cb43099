/* -*- Mode: C; tab-width: 4; c-basic-offset: 4; indent-tabs-mode: nil -*- */
/*
 * Worker threads that wait in mp_dispatch(), and what the halves of the state
 * machine's states ask of their channels. See mc_megapipe.h.
 */
#include "memcached.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Values with at least so much to come are read into the item directly;
 * shorter ones come through the channel's buffers.
 */
#define MEGAPIPE_DIRECT_READ (16 * 1024)

/* While there are too many connections, a worker looks so often whether that
 * is still so: as the main thread does without MegaPipe.
 */
#define MEGAPIPE_PAUSE_US 10000

/* A listening socket, or a worker's part of it. */
struct megapipe_listener {
    struct mp_handle *handle;
    struct megapipe_listener *next;
};

static int paused_workers; /* by STATS_LOCK */

/* What of memcached MegaPipe can't be used with: in this version, nothing. */
const char *megapipe_conflict(void) {
    return NULL;
}

/* As libc tells. What has been told isn't there any more. */
static ssize_t megapipe_take_result(struct megapipe_conn *m) {
    ssize_t result = m->result;
    m->result = -EAGAIN;
    if (result < 0) {
        errno = -result;
        return -1;
    }
    return result;
}

/* True if an operation is under way; else its second half finds the error. */
static bool megapipe_asked(struct megapipe_conn *m, int res) {
    if (res == 0)
        return true;
    m->result = res;
    return false;
}

/********************************** READING **********************************/

static int megapipe_ask_message(conn *c) {
    struct megapipe_conn *m = &c->megapipe;
    m->in_iov.iov_base = c->rbuf;
    m->in_iov.iov_len = c->rsize;
    memset(&m->in, 0, sizeof(m->in));
    m->in.msg_name = &c->request_addr;
    m->in.msg_namelen = sizeof(c->request_addr);
    m->in.msg_iov = &m->in_iov;
    m->in.msg_iovlen = 1;
    return mp_recvmsg(m->handle, &m->in);
}

/* Until something can be read. */
bool megapipe_wait(conn *c) {
    struct megapipe_conn *m = &c->megapipe;
    if (m->unread_len > 0)
        return false;
    return megapipe_asked(m, IS_UDP(c->transport) ? megapipe_ask_message(c) : mp_recv(m->handle));
}

/* Until some of a value can be read, or was. */
bool megapipe_wait_item(conn *c) {
    struct megapipe_conn *m = &c->megapipe;
    if (m->unread_len > 0 || c->rlbytes < MEGAPIPE_DIRECT_READ)
        return megapipe_wait(c);
    return megapipe_asked(m, mp_read(m->handle, c->ritem, c->rlbytes));
}

static void megapipe_release(conn *c) {
    struct megapipe_conn *m = &c->megapipe;
    m->unread_len = 0;
    mp_release(c->thread->megapipe->channel, &m->received);
}

/* Throws away what was received: so much of it. */
ssize_t megapipe_skip(conn *c, size_t count) {
    struct megapipe_conn *m = &c->megapipe;
    if (m->unread_len == 0)
        return megapipe_take_result(m);
    if (count >= m->unread_len) {
        count = m->unread_len;
        megapipe_release(c);
    } else {
        m->unread += count;
        m->unread_len -= count;
    }
    return count;
}

/* Of a value that was read into the item directly, only the length is left. */
ssize_t megapipe_read(conn *c, void *buf, size_t count) {
    struct megapipe_conn *m = &c->megapipe;
    if (m->unread_len > 0)
        memcpy(buf, m->unread, count < m->unread_len ? count : m->unread_len);
    return megapipe_skip(c, count);
}

ssize_t megapipe_recvfrom(conn *c) {
    struct megapipe_conn *m = &c->megapipe;
    c->request_addr_size = m->in.msg_namelen;
    return megapipe_take_result(m);
}

/********************************** WRITING **********************************/

/*
 * The next message, with those that follow it: the limit for a TCP response's
 * first message would cost another operation, and their iovecs are one array.
 */
static struct msghdr *megapipe_next_message(conn *c) {
    while (c->msgcurr < c->msgused && c->msglist[c->msgcurr].msg_iovlen == 0) {
        c->msgcurr++;
    }
    if (c->msgcurr == c->msgused)
        return NULL;

    struct msghdr *m = &c->msglist[c->msgcurr];
    for (int i = c->msgcurr + 1; i < c->msgused && !IS_UDP(c->transport); i++) {
        struct msghdr *next = &c->msglist[i];
        if (m->msg_iovlen + next->msg_iovlen > IOV_MAX)
            break;
        m->msg_iovlen += next->msg_iovlen;
        next->msg_iovlen = 0;
    }
    return m;
}

/* Until the next message is sent; false if there is none. */
bool megapipe_send(conn *c) {
    struct megapipe_conn *m = &c->megapipe;
    struct msghdr *msg = megapipe_next_message(c);
    if (msg == NULL)
        return false;
    return megapipe_asked(m, IS_UDP(c->transport) ? mp_sendmsg(m->handle, msg)
            : mp_writev(m->handle, msg->msg_iov, msg->msg_iovlen));
}

ssize_t megapipe_sent(conn *c) {
    return megapipe_take_result(&c->megapipe);
}

/******************************** CONNECTIONS ********************************/

static bool megapipe_attach(conn *c) {
    struct megapipe_conn *m = &c->megapipe;
    memset(m, 0, sizeof(*m));
    m->result = -EAGAIN;
    int res = mp_register(c->thread->megapipe->channel, c->sfd, c, NULL, &m->handle);
    if (res != 0)
        megapipe_tell(c->thread, MEGAPIPE_REGISTER, -res);
    return res == 0;
}

/* Until it is closed; false if it is. */
bool megapipe_close(conn *c) {
    struct megapipe_conn *m = &c->megapipe;
    if (m->unread_len > 0)
        megapipe_release(c);
    if (m->handle != NULL) {
        if (mp_close_within(m->handle, 0) == 0)
            return true;
        mp_unregister(m->handle);
    }
    if (c->sfd < MP_LWSOCKET_BASE)
        close(c->sfd);
    return false;
}

/* A UDP socket has come to its worker. */
void megapipe_udp_start(conn *c) {
    if (!megapipe_attach(c)) {
        fprintf(stderr, "Can't read from a UDP socket\n");
        exit(EXIT_FAILURE);
    }
    conn_resume(c);
}

/* More to do, but others first. */
void megapipe_yield(conn *c) {
    struct megapipe_thread *t = c->thread->megapipe;
    c->next = NULL;
    *t->last_yielded = c;
    t->last_yielded = &c->next;
}

static void megapipe_resume_yielded(struct megapipe_thread *t) {
    conn *c = t->yielded;
    t->yielded = NULL;
    t->last_yielded = &t->yielded;
    while (c != NULL) {
        conn *next = c->next;
        conn_resume(c);
        c = next;
    }
}

/********************************* ACCEPTING *********************************/

static bool megapipe_is_full(void) {
    return stats.curr_conns + stats.reserved_fds >= settings.maxconns - 1;
}

static void megapipe_accept(struct megapipe_listener *l, uint32_t count) {
    int res = mp_accept(l->handle, count, settings.megapipe_lwsocket);
    if (res != 0)
        fprintf(stderr, "accept(): %s\n", strerror(-res));
}

/* Leaves connections in the accept queue, or to others, until there is room. */
static void megapipe_pause(struct megapipe_thread *t) {
    if (t->paused)
        return;
    t->paused = true;
    for (struct megapipe_listener *l = t->listeners; l != NULL; l = l->next) {
        megapipe_accept(l, 0);
    }
    STATS_LOCK();
    if (paused_workers++ == 0) {
        stats.accepting_conns = false;
        stats.listen_disabled_num++;
    }
    STATS_UNLOCK();
}

static void megapipe_go_on(struct megapipe_thread *t) {
    t->paused = false;
    STATS_LOCK();
    if (--paused_workers == 0)
        stats.accepting_conns = true;
    STATS_UNLOCK();
    for (struct megapipe_listener *l = t->listeners; l != NULL; l = l->next) {
        megapipe_accept(l, MP_ACCEPT_ALL);
    }
}

/* Came in the same batch as the last that there was room for. */
static bool megapipe_wait_for_room(struct megapipe_thread *t, int id) {
    if (!megapipe_waiting_add(&t->waiting, id))
        return false;
    megapipe_pause(t);
    return true;
}

static void megapipe_new_conn(LIBEVENT_THREAD *me, int id) {
    conn *c = conn_new(id, conn_new_cmd, EV_READ | EV_PERSIST, DATA_BUFFER_SIZE, tcp_transport, NULL);
    if (c == NULL) {
        megapipe_reject(me, id);
        return;
    }
    c->thread = me;
    if (!megapipe_attach(c))
        c->state = conn_closing;
    conn_resume(c);
}

static void megapipe_accepted(LIBEVENT_THREAD *me, int id) {
    struct megapipe_thread *t = me->megapipe;
    if (!megapipe_is_full() && t->waiting.count == 0) {
        megapipe_new_conn(me, id);
    } else if (settings.maxconns_fast || !megapipe_wait_for_room(t, id)) {
        megapipe_reject(me, id);
    }
}

/* There may be room again: in the order in which they came. */
static void megapipe_admit_waiting(LIBEVENT_THREAD *me) {
    struct megapipe_thread *t = me->megapipe;
    size_t admitted = 0;
    while (admitted < t->waiting.count && !megapipe_is_full()) {
        megapipe_new_conn(me, t->waiting.ids[admitted++]);
    }
    megapipe_waiting_drop(&t->waiting, admitted);
    if (t->waiting.count == 0)
        megapipe_go_on(t);
}

/* The channel tries again what can pass, and tells of it once a second. */
static void megapipe_accept_failed(int error) {
    if (error != EMFILE && error != ENFILE) {
        fprintf(stderr, "accept(): %s\n", strerror(error));
    } else if (settings.verbose > 0) {
        fprintf(stderr, "Too many open connections\n");
    }
}

/* In each worker, for a new listening socket. */
void megapipe_listen_worker(LIBEVENT_THREAD *me, int sfd, enum network_transport transport) {
    struct megapipe_listener *l = calloc(1, sizeof(*l));
    if (l == NULL) {
        perror("Failed to allocate memory for a listening socket");
        exit(EXIT_FAILURE);
    }
    l->handle = megapipe_listen_part(me, sfd, transport == tcp_transport, l);
    if (l->handle != NULL) {
        l->next = me->megapipe->listeners;
        me->megapipe->listeners = l;
    } else {
        free(l);
    }
    megapipe_worker_listens();
}

/* From the main thread: returns when all workers accept. */
void megapipe_listen(int sfd, enum network_transport transport) {
    megapipe_workers_begin();
    for (int i = 0; i < settings.num_threads; i++) {
        /* hits all threads, because they take turns */
        dispatch_conn_new(sfd, conn_listening, EV_READ | EV_PERSIST, 1, transport);
    }
    megapipe_await_workers();
}

/********************************** THREADS **********************************/

/* The operation is complete: the machine goes on with the second half. */
static void megapipe_conn_event(conn *c, const struct mp_event *ev) {
    struct megapipe_conn *m = &c->megapipe;
    if (ev->cmd == MP_RECV && ev->result > 0) {
        m->received = *ev;
        m->unread = ev->recv.data;
        m->unread_len = ev->result;
    } else {
        m->result = ev->result;
    }
    conn_resume(c);
}

static void megapipe_wait_notify(struct megapipe_thread *t) {
    int res = mp_poll(t->notify, POLLIN);
    if (res != 0) {
        fprintf(stderr, "Can't monitor the worker's notify pipe: %s\n", strerror(-res));
        exit(EXIT_FAILURE);
    }
}

static void megapipe_event(LIBEVENT_THREAD *me, const struct mp_event *ev) {
    if (ev->cmd == MP_ACCEPT) {
        if (ev->result >= 0) {
            megapipe_accepted(me, ev->result);
        } else {
            megapipe_accept_failed(-ev->result);
        }
    } else if (ev->cookie == me) {
        thread_notified(me);
        megapipe_wait_notify(me->megapipe);
    } else if (ev->cookie != &megapipe_rejected) {
        megapipe_conn_event(ev->cookie, ev);
    }
}

/* In the worker thread, before its loop. */
void megapipe_thread_init(LIBEVENT_THREAD *me) {
    struct megapipe_thread *t = megapipe_thread_new(me, me->notify_receive_fd);
    t->last_yielded = &t->yielded;
    me->megapipe = t;
    megapipe_wait_notify(t);
}

/* Between two batches of completions: whatever else is due. */
static void megapipe_between(LIBEVENT_THREAD *me) {
    struct megapipe_thread *t = me->megapipe;
    struct mp_stats stats = { .size = sizeof(stats) };

    megapipe_resume_yielded(t);
    if (t->paused && !megapipe_is_full())
        megapipe_admit_waiting(me);

    /* A channel answers to its own thread only. */
    mp_stats(t->channel, &stats);
    pthread_mutex_lock(&me->stats.mutex);
    t->stats = stats;
    pthread_mutex_unlock(&me->stats.mutex);
}

static int64_t megapipe_timeout(const struct megapipe_thread *t) {
    if (t->yielded != NULL)
        return 0;
    return t->paused ? MEGAPIPE_PAUSE_US : -1;
}

void megapipe_loop(LIBEVENT_THREAD *me) {
    struct megapipe_thread *t = me->megapipe;
    struct mp_event ev;

    while (true) {
        if (mp_pending(t->channel) == 0)
            megapipe_between(me);
        int res = mp_dispatch(t->channel, &ev, megapipe_timeout(t));
        if (res > 0) {
            megapipe_event(me, &ev);
        } else if (res < 0 && res != -EINTR) {
            fprintf(stderr, "A worker's channel has failed: %s\n", strerror(-res));
            exit(EXIT_FAILURE);
        }
    }
}
