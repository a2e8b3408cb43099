/* -*- Mode: C; tab-width: 4; c-basic-offset: 4; indent-tabs-mode: nil -*- */
/*
 * Worker threads that wait in mp_dispatch(), and connections whose I/O goes
 * through their channels. See mc_megapipe.h.
 */
#include "memcached.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Values with at least so much to come are read into the item directly;
 * shorter ones come through the channel's buffers.
 */
#define MEGAPIPE_DIRECT_READ (16 * 1024)

/* Bytes of responses and values in hand with which a worker takes no further
 * requests before its channel has tried to send and to read.
 */
#define MEGAPIPE_IN_HAND_MAX (1024 * 1024)

/* A listening socket in one worker, and who waits because other workers learn
 * that there is no room only a moment later.
 */
struct megapipe_listener {
    struct mp_handle *handle;
    conn *c;
    struct megapipe_waiting waiting;
    struct megapipe_listener *next;
};

/* UDP messages must stay in place until their operation is complete. */
struct megapipe_udp {
    struct msghdr in;
    struct iovec in_iov;
    struct msghdr out;
    struct iovec out_iov;
    struct sockaddr_in6 out_addr;
    char out_data[UDP_MAX_PAYLOAD_SIZE];
};

static int first_number;
static int numbers;
static int next_number; /* atomic */

static bool accepting = true; /* atomic */

/* What of memcached MegaPipe can't be used with, if it is asked for. */
const char *megapipe_conflict(void) {
    const char *conflict = NULL;
#ifdef TLS
    if (settings.ssl_kernel_tls)
        conflict = "-o ssl_kernel_tls: the channel sends, so OpenSSL has no socket to give to the kernel's TLS";
#endif
#ifdef PROXY
    if (settings.proxy_enabled)
        conflict = "the proxy";
#endif
    if (settings.num_napi_ids)
        conflict = "-N: connections stay with the thread whose CPU has received them";
    return conflict;
}

/*********************************** TURNS ***********************************/

static void megapipe_enqueue(conn *c, struct megapipe_queue *queue) {
    c->megapipe.queue = queue;
    TAILQ_INSERT_TAIL(queue, c, megapipe.queue_link);
}

static void megapipe_dequeue(conn *c) {
    if (c->megapipe.queue != NULL)
        TAILQ_REMOVE(c->megapipe.queue, c, megapipe.queue_link);
    c->megapipe.queue = NULL;
}

/* More to do, but others first. */
void megapipe_yield(conn *c) {
    megapipe_enqueue(c, &c->thread->megapipe->yielded);
}

/*
 * A stock worker sends a connection's responses, and reads its value, until
 * the socket would block, and only then turns to the next connection. Ours
 * collects what is to be done, for many at once: 300 requests of 2,000 keys
 * would all have their responses made, some 1,200 bytes a key, and 24 values
 * would be read side by side until none has memory for its rest. So no further
 * requests are taken while there is much in hand that the channel hasn't tried,
 * and values in chunks, whose memory comes as they grow, are read one by one.
 * What would block, because a peer doesn't read or send, is out of hand.
 */
static uint64_t megapipe_held(LIBEVENT_THREAD *me) {
    /* No other thread writes these statistics. */
    return me->stats.response_obj_bytes + me->megapipe->value_bytes;
}

static bool megapipe_may_take(LIBEVENT_THREAD *me) {
    struct megapipe_thread *t = me->megapipe;
    uint64_t held = megapipe_held(me);
    if (t->blocked_bytes > held)
        t->blocked_bytes = held;
    return held - t->blocked_bytes <= t->in_hand_max;
}

/* There was nothing to dispatch: the channel has tried all. */
static void megapipe_all_tried(LIBEVENT_THREAD *me) {
    me->megapipe->blocked_bytes = megapipe_held(me);
    me->megapipe->reader = NULL;
}

/* Responses have part in -o read_buf_mem_limit; most of it is left to others. */
static uint64_t megapipe_in_hand_max(void) {
    uint64_t part = settings.read_buf_mem_limit / settings.num_threads / 4;
    return part > 0 && part < MEGAPIPE_IN_HAND_MAX ? part : MEGAPIPE_IN_HAND_MAX;
}

static bool megapipe_is_chunked(const conn *c) {
    return !c->item_malloced && (((item *)c->item)->it_flags & ITEM_CHUNKED) != 0;
}

/* A value is to be read: false if it has to wait for another's. */
static bool megapipe_begin_value(conn *c) {
    struct megapipe_thread *t = c->thread->megapipe;
    if (c->megapipe.value_bytes == 0) {
        c->megapipe.value_bytes = c->rlbytes;
        t->value_bytes += c->rlbytes;
    }
    if (!megapipe_is_chunked(c))
        return true;
    if (t->reader == NULL)
        t->reader = c;
    return t->reader == c;
}

static void megapipe_end_value(conn *c) {
    struct megapipe_thread *t = c->thread->megapipe;
    t->value_bytes -= c->megapipe.value_bytes;
    c->megapipe.value_bytes = 0;
    if (t->reader == c)
        t->reader = NULL;
}

static void megapipe_resume(conn *c) {
    megapipe_dequeue(c);
    conn_resume(c);
    if (c->state != conn_nread)
        megapipe_end_value(c);
}

static void megapipe_take_turns(LIBEVENT_THREAD *me) {
    struct megapipe_thread *t = me->megapipe;
    conn *last = TAILQ_LAST(&t->yielded, megapipe_queue);
    conn *c = NULL;

    if (t->reader == NULL && !TAILQ_EMPTY(&t->readers))
        megapipe_resume(TAILQ_FIRST(&t->readers));
    while (c != last && megapipe_may_take(me)) {
        c = TAILQ_FIRST(&t->yielded);
        megapipe_resume(c);
    }
}

static bool megapipe_someone_waits(const struct megapipe_thread *t) {
    return !TAILQ_EMPTY(&t->yielded) || !TAILQ_EMPTY(&t->readers);
}

/******************************** CONNECTIONS ********************************/

/*
 * lwsockets have no fd to index conns[] by, and an fd may come again in another
 * thread before this one has seen MP_CLOSE. So connections have numbers of
 * their own: one for each conn structure, for good. A closed structure is used
 * again by its thread.
 *
 * Returns how many numbers there are.
 */
int megapipe_conn_numbers(int first) {
    first_number = next_number = first;
    numbers = settings.maxconns * settings.num_threads;
    return numbers;
}

static int megapipe_number(struct megapipe_thread *t) {
    conn *c = t->free_conns;
    if (c != NULL) {
        t->free_conns = c->next;
        return c->sfd;
    }
    int number = __atomic_fetch_add(&next_number, 1, __ATOMIC_RELAXED);
    return number < first_number + numbers ? number : -1;
}

static void megapipe_conn_reuse(conn *c) {
    struct megapipe_thread *t = c->thread->megapipe;
    c->next = t->free_conns;
    t->free_conns = c;
}

/* Side threads do their own I/O on what they have borrowed; by calls for sockets
 * only, because -o drop_privileges forbids write().
 */
static ssize_t megapipe_side_read(conn *c, void *buf, size_t count) {
    return recv(c->megapipe.fd, buf, count, 0);
}

static bool megapipe_is_side_thread(const conn *c) {
    return c->megapipe.handle == NULL && !pthread_equal(pthread_self(), c->thread->thread_id);
}

static ssize_t megapipe_side_write(conn *c, void *buf, size_t count) {
    return send(c->megapipe.fd, buf, count, MSG_NOSIGNAL);
}

/* For conn_new(). */
void megapipe_conn_init(conn *c) {
    struct sockaddr_storage *local = c->megapipe.local;
    memset(&c->megapipe, 0, sizeof(c->megapipe));
    c->megapipe.local = local;
    c->megapipe.fd = -1;
    memset(&c->request_addr, 0, sizeof(c->request_addr));
    c->read = megapipe_read;
    c->sendmsg = megapipe_sendmsg;
    c->write = megapipe_side_write;
}

static bool megapipe_attach(conn *c, int id) {
    struct megapipe_conn *m = &c->megapipe;
    int res = mp_register(c->thread->megapipe->channel, id, c, NULL, &m->handle);
    if (res != 0) {
        megapipe_tell(c->thread, MEGAPIPE_REGISTER, -res);
        m->handle = NULL;
        return false;
    }
    return true;
}

/* In the channel, or back in it. */
bool megapipe_attached(conn *c) {
    return c->megapipe.handle != NULL || megapipe_attach(c, c->megapipe.fd);
}

int megapipe_fd(const conn *c) {
    return settings.megapipe && !IS_UDP(c->transport) ? c->megapipe.fd : c->sfd;
}

/* All that is unread is taken, or for nobody. */
static void megapipe_release(conn *c) {
    struct megapipe_conn *m = &c->megapipe;
    m->unread_len = 0;
    if (m->kept == NULL) {
        mp_release(c->thread->megapipe->channel, &m->received);
    } else {
        free(m->kept);
        m->kept = NULL;
    }
}

/* At once, with all that is in flight: its memory is about to be freed. */
static void megapipe_conn_abort(conn *c) {
    struct megapipe_conn *m = &c->megapipe;
    if (m->handle != NULL)
        mp_unregister(m->handle);
    if (m->fd >= 0)
        close(m->fd);
    m->handle = NULL;
    m->fd = -1;
    megapipe_conn_reuse(c);
}

/* The part of conn_close() that ends the I/O. */
void megapipe_conn_close(conn *c) {
    struct megapipe_conn *m = &c->megapipe;
    if (c->thread == NULL) {
        close(c->sfd); /* a listening socket */
        return;
    }
    struct megapipe_thread *t = c->thread->megapipe;
    if (t->channel == NULL) {
        /* The worker has stopped, and has ended all with its channel. */
        m->handle = NULL;
        if (megapipe_is_tls(c))
            megapipe_tls_end(c);
        free(m->kept);
        if (m->fd >= 0)
            close(m->fd);
        return;
    }
    if (megapipe_is_tls(c))
        megapipe_tls_end(c);
    megapipe_dequeue(c);
    megapipe_end_value(c);
    megapipe_forget_names(c);
    if (m->unread_len > 0)
        megapipe_release(c);

    if (m->handle == NULL || m->writing || m->read_direct || mp_close_within(m->handle, 0) != 0) {
        megapipe_conn_abort(c);
    } else {
        m->closing = true;
    }
}

/********************************** READING **********************************/

static int megapipe_ask_message(conn *c) {
    struct megapipe_udp *udp = c->megapipe.udp;
    udp->in_iov.iov_base = c->rbuf;
    udp->in_iov.iov_len = c->rsize;
    memset(&udp->in, 0, sizeof(udp->in));
    udp->in.msg_name = &c->request_addr;
    udp->in.msg_namelen = sizeof(c->request_addr);
    udp->in.msg_iov = &udp->in_iov;
    udp->in.msg_iovlen = 1;
    return mp_recvmsg(c->megapipe.handle, &udp->in);
}

/* The machine has nothing to do until something can be read. */
bool megapipe_wait(conn *c) {
    struct megapipe_conn *m = &c->megapipe;
    if (m->reading || m->queue != NULL || (megapipe_is_tls(c) && megapipe_tls_waits(c)))
        return true;
    if (!megapipe_attached(c))
        return false;
    int res = IS_UDP(c->transport) ? megapipe_ask_message(c) : mp_recv(m->handle);
    m->reading = res == 0;
    if (!m->reading)
        megapipe_tell(c->thread, MEGAPIPE_RECEIVE, -res);
    return m->reading;
}

/* Something was received that the machine hasn't taken. */
bool megapipe_has_unread(const conn *c) {
    if (megapipe_is_tls(c))
        return megapipe_tls_has_unread(c);
    return c->megapipe.unread_len > 0 || c->megapipe.read_done;
}

/* The value's next bytes are to be read: into buf, if there are many to come. */
void megapipe_ask_value(conn *c, void *buf, size_t count) {
    struct megapipe_conn *m = &c->megapipe;
    if (!megapipe_begin_value(c)) {
        megapipe_enqueue(c, &c->thread->megapipe->readers);
    } else if (count >= MEGAPIPE_DIRECT_READ && mp_read(m->handle, buf, count) == 0) {
        /* The item stays where it is until we are here again, and asked the same. */
        m->reading = m->read_direct = true;
    }
}

static ssize_t megapipe_result(ssize_t result) {
    if (result < 0) {
        errno = -result;
        return -1;
    }
    return result;
}

/* What was received, or EAGAIN. */
ssize_t megapipe_take(conn *c, void *buf, size_t count) {
    struct megapipe_conn *m = &c->megapipe;

    if (m->unread_len > 0) {
        size_t len = count < m->unread_len ? count : m->unread_len;
        memcpy(buf, m->unread, len);
        m->unread += len;
        if (len == m->unread_len) {
            megapipe_release(c);
        } else {
            m->unread_len -= len;
        }
        return len;
    }
    if (m->read_done) {
        m->read_done = false;
        return megapipe_result(m->read_result);
    }
    errno = EAGAIN;
    return -1;
}

/* conn->read: what was received, or EAGAIN, and megapipe_wait() follows. */
ssize_t megapipe_read(conn *c, void *buf, size_t count) {
    struct megapipe_conn *m = &c->megapipe;

    if (megapipe_is_side_thread(c))
        return megapipe_side_read(c, buf, count);
    if (m->unread_len > 0 || m->read_done)
        return megapipe_take(c, buf, count);
    if (c->state == conn_nread && !m->reading && m->handle != NULL)
        megapipe_ask_value(c, buf, count);
    errno = EAGAIN;
    return -1;
}

/* The same for UDP. */
ssize_t megapipe_recvfrom(conn *c) {
    struct megapipe_conn *m = &c->megapipe;
    if (!m->read_done) {
        errno = EAGAIN;
        return -1;
    }
    m->read_done = false;
    c->request_addr_size = m->udp->in.msg_namelen;
    return megapipe_result(m->read_result);
}

/***************************** LEAVING THE CHANNEL ***************************/

/*
 * What is unread goes to memory of its own, with what more has come: the
 * channel's buffers are for those that are in it. False without memory.
 */
static bool megapipe_keep(conn *c, const void *more, size_t more_len) {
    struct megapipe_conn *m = &c->megapipe;
    size_t unread_len = m->unread_len;
    char *kept = malloc(unread_len + more_len);
    if (kept != NULL) {
        memcpy(kept, m->unread, unread_len);
        memcpy(kept + unread_len, more, more_len);
    }
    megapipe_release(c);
    m->kept = m->unread = kept;
    m->unread_len = kept != NULL ? unread_len + more_len : 0;
    return kept != NULL;
}

/* The channel holds something of the connection: it comes out of the way while
 * the command stays where it is.
 */
static void megapipe_leave(conn *c) {
    c->megapipe.leaving = true;
    conn_set_state(c, conn_watch);
    if (!(megapipe_is_tls(c) && megapipe_tls_sends(c)) && !megapipe_wait(c))
        conn_set_state(c, conn_closing);
}

/* Before the machine goes on: the command is tried again. */
static void megapipe_leave_again(conn *c) {
    struct megapipe_conn *m = &c->megapipe;
    m->leaving = false;
    conn_set_state(c, m->read_done && m->read_result < 0 ? conn_closing : conn_parse_cmd);
}

/*
 * Takes the connection out of its channel, for a side thread to use its fd. It
 * goes back by itself when the worker has I/O for it again.
 * Returns false while the channel still sends for it, or has received ahead
 * what comes before the fd's bytes; or the connection is closing.
 */
bool megapipe_detach(conn *c) {
    struct megapipe_conn *m = &c->megapipe;
    if (m->handle == NULL || IS_UDP(c->transport))
        return true;

    int fd = mp_lwsocket_to_fd(m->handle);
    if (fd == -EBUSY) {
        megapipe_leave(c);
        return false;
    }
    if (fd < 0) {
        megapipe_tell(c->thread, MEGAPIPE_DETACH, -fd);
        conn_set_state(c, conn_closing);
        return false;
    }
    m->fd = fd;
    m->handle = NULL;
    m->read_done = false; /* The end is told by the fd, too. */
    fcntl(m->fd, F_SETFL, fcntl(m->fd, F_GETFL) | O_NONBLOCK);
    if (m->unread_len == 0 || m->kept != NULL || megapipe_keep(c, "", 0))
        return true;
    conn_set_state(c, conn_closing);
    return false;
}

/********************************** WRITING **********************************/

static int megapipe_send_message(conn *c, const struct msghdr *msg) {
    struct megapipe_udp *udp = c->megapipe.udp;
    size_t len = 0;
    for (size_t x = 0; x < msg->msg_iovlen; x++) {
        memcpy(udp->out_data + len, msg->msg_iov[x].iov_base, msg->msg_iov[x].iov_len);
        len += msg->msg_iov[x].iov_len;
    }
    memcpy(&udp->out_addr, msg->msg_name, msg->msg_namelen);
    udp->out_iov.iov_base = udp->out_data;
    udp->out_iov.iov_len = len;
    memset(&udp->out, 0, sizeof(udp->out));
    udp->out.msg_name = &udp->out_addr;
    udp->out.msg_namelen = msg->msg_namelen;
    udp->out.msg_iov = &udp->out_iov;
    udp->out.msg_iovlen = 1;
    return mp_sendmsg(c->megapipe.handle, &udp->out);
}

/* conn->sendmsg: always EAGAIN. When all is sent, megapipe_sent() tells. */
ssize_t megapipe_sendmsg(conn *c, struct msghdr *msg, int flags) {
    struct megapipe_conn *m = &c->megapipe;
    int res;
    if (!megapipe_attached(c)) {
        errno = ENOMEM;
        return -1;
    }
    if (IS_UDP(c->transport)) {
        res = megapipe_send_message(c, msg);
    } else {
        res = mp_writev(m->handle, msg->msg_iov, msg->msg_iovlen);
    }
    if (res != 0)
        return megapipe_result(res);
    m->writing = true;
    errno = EAGAIN;
    return -1;
}

/* Is this the machine's second visit, after the channel has sent? */
bool megapipe_sent(conn *c, ssize_t *res) {
    struct megapipe_conn *m = &c->megapipe;
    if (!m->write_done)
        return false;
    m->write_done = false;
    *res = megapipe_result(m->write_result);
    return true;
}

/********************************* ACCEPTING *********************************/

static bool megapipe_is_full(void) {
    return stats_state.curr_conns + stats_state.reserved_fds >= settings.maxconns - 1;
}

static void megapipe_log_new(conn *c) {
    if (c->thread->l->eflags & LOG_CONNEVENTS)
        megapipe_peer(c);
    LOGGER_LOG(c->thread->l, LOG_CONNEVENTS, LOGGER_CONNECTION_NEW, NULL,
            &c->request_addr, c->request_addr_size, c->transport, 0, c->sfd);
}

static void megapipe_pause_accepting(void) {
    accept_new_conns(false);
    /* Who made room in between saw no pause that it should have ended. */
    if (!megapipe_is_full())
        accept_new_conns(true);
}

static void megapipe_wait_for_room(LIBEVENT_THREAD *me, struct megapipe_listener *l, int id) {
    if (megapipe_waiting_add(&l->waiting, id)) {
        megapipe_pause_accepting();
    } else {
        megapipe_reject(me, id);
    }
}

static void megapipe_new_conn(LIBEVENT_THREAD *me, conn *listener, int id) {
    int number = megapipe_number(me->megapipe);
    conn *c = number < 0 ? NULL : conn_new(number, conn_new_cmd, EV_READ | EV_PERSIST,
            READ_BUFFER_CACHED, listener->transport, NULL, NULL, listener->tag, listener->protocol);
    if (c == NULL) {
        megapipe_reject(me, id);
        return;
    }
    c->thread = me;
    c->megapipe.fd = id < MP_LWSOCKET_BASE ? id : -1;
    megapipe_io_setup(c);
    if (megapipe_attach(c, id) && (!megapipe_wants_tls(listener) || megapipe_tls_start(c, listener))) {
        c->megapipe.unnamed = true;
        TAILQ_INSERT_TAIL(&me->megapipe->unnamed, c, megapipe.unnamed_link);
        megapipe_log_new(c);
    } else {
        conn_set_state(c, conn_closing);
    }
    conn_resume(c);

    if (!settings.maxconns_fast && megapipe_is_full())
        megapipe_pause_accepting();
}

static void megapipe_accepted(LIBEVENT_THREAD *me, struct megapipe_listener *l, int id) {
    if (!megapipe_is_full() && l->waiting.count == 0) {
        megapipe_new_conn(me, l->c, id);
    } else if (settings.maxconns_fast) {
        megapipe_reject(me, id);
    } else {
        megapipe_wait_for_room(me, l, id);
    }
}

/* There may be room again: in the order in which they came. */
static void megapipe_admit_waiting(LIBEVENT_THREAD *me, struct megapipe_listener *l) {
    size_t admitted = 0;
    while (admitted < l->waiting.count && !megapipe_is_full())
        megapipe_new_conn(me, l->c, l->waiting.ids[admitted++]);
    megapipe_waiting_drop(&l->waiting, admitted);
    if (l->waiting.count > 0)
        megapipe_pause_accepting();
}

/* In each worker. */
static void megapipe_accept_worker(LIBEVENT_THREAD *me, conn *unused) {
    uint32_t count = __atomic_load_n(&accepting, __ATOMIC_ACQUIRE) ? MP_ACCEPT_ALL : 0;
    for (struct megapipe_listener *l = me->megapipe->listeners; l != NULL; l = l->next) {
        if (count > 0 && l->waiting.count > 0)
            megapipe_admit_waiting(me, l);
        int res = mp_accept(l->handle, count, settings.megapipe_lwsocket);
        if (res != 0)
            megapipe_tell(me, MEGAPIPE_ACCEPT, -res);
    }
}

/* The part of do_accept_new_conns() that reaches the workers. */
void megapipe_accept_conns(bool do_accept) {
    __atomic_store_n(&accepting, do_accept, __ATOMIC_RELEASE);
    for (int i = 0; i < settings.num_threads; i++) {
        thread_call(get_worker_thread(i), megapipe_accept_worker, NULL);
    }
}

/* A connection was closed: there may be room again. */
void megapipe_conn_gone(void) {
    if (!stats_state.accepting_conns && !megapipe_is_full())
        accept_new_conns(true);
}

/* In each worker, for a new listening socket. */
static void megapipe_listen_worker(LIBEVENT_THREAD *me, conn *listener) {
    struct megapipe_listener *l = calloc(1, sizeof(*l));
    if (l == NULL) {
        perror("Failed to allocate memory for a listening socket");
        exit(EXIT_FAILURE);
    }
    l->c = listener;
    l->handle = megapipe_listen_part(me, listener->sfd, IS_TCP(listener->transport), l);
    if (l->handle != NULL) {
        l->next = me->megapipe->listeners;
        me->megapipe->listeners = l;
    } else {
        free(l);
    }
    megapipe_worker_listens();
}

/* From the main thread: returns when all workers accept. */
void megapipe_listen(conn *listener) {
    megapipe_workers_begin();
    for (int i = 0; i < settings.num_threads; i++) {
        thread_call(get_worker_thread(i), megapipe_listen_worker, listener);
    }
    megapipe_await_workers();
}

/* A UDP socket has come to its worker. */
bool megapipe_udp_start(conn *c) {
    struct megapipe_conn *m = &c->megapipe;
    m->udp = calloc(1, sizeof(*m->udp));
    m->fd = c->sfd;
    return m->udp != NULL && megapipe_attach(c, c->sfd) && megapipe_wait(c);
}

/********************************** THREADS **********************************/

static void megapipe_received(conn *c, const struct mp_event *ev) {
    struct megapipe_conn *m = &c->megapipe;
    if (m->unread_len == 0) {
        m->received = *ev;
        m->unread = ev->recv.data;
        m->unread_len = ev->result;
        return;
    }
    /* It leaves: nobody else asks before all is read. */
    if (!megapipe_keep(c, ev->recv.data, ev->result)) {
        m->read_done = true;
        m->read_result = -ENOMEM;
    }
    mp_release(c->thread->megapipe->channel, ev);
}

static void megapipe_conn_event(conn *c, const struct mp_event *ev) {
    struct megapipe_conn *m = &c->megapipe;
    switch (ev->cmd) {
    case MP_RECV:
        m->reading = false;
        if (ev->result > 0) {
            megapipe_received(c, ev);
            break;
        }
        m->read_done = true;
        m->read_result = ev->result;
        break;
    case MP_READ:
    case MP_RECVMSG:
        m->reading = m->read_direct = false;
        m->read_done = true;
        m->read_result = ev->result;
        break;
    case MP_WRITE:
    case MP_SENDMSG:
        if (megapipe_is_tls(c)) {
            if (!megapipe_tls_sent(c, ev->result))
                return;
            break;
        }
        m->writing = false;
        m->write_done = true;
        m->write_result = ev->result;
        break;
    case MP_CLOSE:
        m->handle = NULL;
        m->fd = -1;
        megapipe_conn_reuse(c);
        megapipe_conn_gone(); /* only now its fd is free */
        return;
    default:
        return;
    }
    if (m->closing) {
        if (m->unread_len > 0)
            megapipe_release(c);
        return;
    }
    if (m->leaving)
        megapipe_leave_again(c);
    if (ev->cmd == MP_RECV && c->state == conn_read && !megapipe_may_take(c->thread)) {
        megapipe_yield(c);
    } else {
        megapipe_resume(c);
    }
}

static void megapipe_wait_eventfd(struct mp_handle *handle, uint64_t *count) {
    int res = mp_read(handle, count, sizeof(*count));
    if (res != 0) {
        fprintf(stderr, "Can't monitor a worker's notify eventfd: %s\n", strerror(-res));
        exit(EXIT_FAILURE);
    }
}

static void megapipe_notified(LIBEVENT_THREAD *me, const struct mp_event *ev) {
    struct megapipe_thread *t = me->megapipe;
    thread_process_queue(me, ev->result > 0 ? t->notified : 0);
    if (!t->stopping)
        megapipe_wait_eventfd(t->notify, &t->notified);
}

#ifdef MEGAPIPE_IO_EVENTFD
static bool megapipe_is_io(const LIBEVENT_THREAD *me, const struct mp_event *ev) {
    return ev->cookie == &me->megapipe->io_notified;
}

static void megapipe_io_returned(LIBEVENT_THREAD *me) {
    thread_process_io(me);
    megapipe_wait_eventfd(me->megapipe->io_notify, &me->megapipe->io_notified);
}

static void megapipe_io_init(LIBEVENT_THREAD *me) {
    struct megapipe_thread *t = me->megapipe;
    int res = mp_register(t->channel, me->ion.notify_event_fd, &t->io_notified, NULL, &t->io_notify);
    if (res != 0) {
        fprintf(stderr, "Can't monitor the eventfd of a worker's IO objects: %s\n", strerror(-res));
        exit(EXIT_FAILURE);
    }
    megapipe_wait_eventfd(t->io_notify, &t->io_notified);
}
#else
#define megapipe_is_io(me, ev) false
#define megapipe_io_returned(me) ((void)0)
#define megapipe_io_init(me) ((void)0)
#endif

static void megapipe_event(LIBEVENT_THREAD *me, const struct mp_event *ev) {
    if (ev->cmd == MP_ACCEPT) {
        struct megapipe_listener *l = ev->cookie;
        if (ev->result >= 0) {
            megapipe_accepted(me, l, ev->result);
        } else {
            megapipe_tell(me, MEGAPIPE_ACCEPT, -ev->result); /* the channel tries again what can pass */
        }
    } else if (ev->cookie == me) {
        megapipe_notified(me, ev);
    } else if (megapipe_is_io(me, ev)) {
        megapipe_io_returned(me);
    } else if (ev->cookie != &megapipe_rejected) {
        megapipe_conn_event(ev->cookie, ev);
    }
}

/* In the worker thread, before its loop. */
void megapipe_thread_init(LIBEVENT_THREAD *me) {
    me->megapipe = megapipe_thread_new(me, megapipe_notify_fd(me));
    TAILQ_INIT(&me->megapipe->yielded);
    TAILQ_INIT(&me->megapipe->readers);
    TAILQ_INIT(&me->megapipe->unnamed);
    me->megapipe->in_hand_max = megapipe_in_hand_max();
    megapipe_wait_eventfd(me->megapipe->notify, &me->megapipe->notified);
    megapipe_io_init(me);
}

void megapipe_loop(LIBEVENT_THREAD *me) {
    struct megapipe_thread *t = me->megapipe;
    struct mp_event ev;

    while (!t->stopping) {
        int res = mp_dispatch(t->channel, &ev, megapipe_someone_waits(t) ? 0 : -1);
        if (res > 0) {
            megapipe_event(me, &ev);
        } else if (res == 0) {
            megapipe_all_tried(me);
        } else if (res != -EINTR) {
            fprintf(stderr, "A worker's channel has failed: %s\n", strerror(-res));
            exit(EXIT_FAILURE);
        }
        if (megapipe_someone_waits(t))
            megapipe_take_turns(me);
        if (megapipe_io_collected(me))
            megapipe_io_submit(me);
    }
    if (megapipe_tls_is_on())
        megapipe_tls_end_all(me);
    /* Only its own thread can do this, and conn_close_all() comes after. */
    mp_destroy(t->channel);
    t->channel = NULL;
}

void megapipe_stop(LIBEVENT_THREAD *me) {
    me->megapipe->stopping = true;
}

/* Nothing but its clock wakes the main thread, once a second. */
static int main_wakeup = -1;
static struct event main_wakeup_event;

static void megapipe_main_woken(const evutil_socket_t fd, const short which, void *arg) {
    /* Its loop looks whether to stop after each event. */
}

void megapipe_watch_stop(struct event_base *base) {
    main_wakeup = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    event_set(&main_wakeup_event, main_wakeup, EV_READ, megapipe_main_woken, NULL);
    event_base_set(base, &main_wakeup_event);
    if (main_wakeup < 0 || event_add(&main_wakeup_event, 0) != 0) {
        perror("Can't watch for what stops the server");
        exit(EXIT_FAILURE);
    }
}

int megapipe_wakeup_fd(void) {
    return main_wakeup;
}

/* In a signal handler, whichever thread runs it. */
void megapipe_wake_main(void) {
    int error = errno;
    if (main_wakeup >= 0 && eventfd_write(main_wakeup, 1) != 0) {
        /* It is awake already. */
    }
    errno = error;
}
