/* -*- Mode: C; tab-width: 4; c-basic-offset: 4; indent-tabs-mode: nil -*- */
/*
 * Commands that need more than their own thread. A channel answers to its own
 * thread only: "stats megapipe" and "stats conns" wait until each worker has
 * told its figures, or the addresses of its new connections. "watch" and "lru_crawler
 * metadump" give the connection's fd to a side thread.
 */
#include "memcached.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*********************************** NAMES ***********************************/

/* The connection's names are those of the one before, or none. */
void megapipe_forget_names(conn *c) {
    struct megapipe_conn *m = &c->megapipe;
    if (m->unnamed)
        TAILQ_REMOVE(&c->thread->megapipe->unnamed, c, megapipe.unnamed_link);
    m->unnamed = false;
}

static void megapipe_local(conn *c) {
    struct megapipe_conn *m = &c->megapipe;
    socklen_t len = sizeof(*m->local);

    if (m->local == NULL && (m->local = malloc(sizeof(*m->local))) == NULL)
        return;
    memset(m->local, 0, sizeof(*m->local));
    if (m->handle != NULL) {
        mp_getsockname(m->handle, (struct sockaddr *)m->local, &len);
    } else {
        getsockname(m->fd, (struct sockaddr *)m->local, &len);
    }
}

/* Who is at the other end? Asked only when somebody wants to know, and once. */
void megapipe_peer(conn *c) {
    struct megapipe_conn *m = &c->megapipe;
    if (m->peer_asked || !IS_TCP(c->transport))
        return;
    m->peer_asked = true;

    int res;
    socklen_t len = sizeof(c->request_addr);
    struct sockaddr *addr = (struct sockaddr *)&c->request_addr;
    if (m->handle != NULL) {
        res = mp_getpeername(m->handle, addr, &len);
    } else {
        res = getpeername(m->fd, addr, &len);
    }
    if (res == 0)
        c->request_addr_size = len;
}

int megapipe_getsockname(const conn *c, struct sockaddr *addr, socklen_t *len) {
    if (!settings.megapipe || IS_UDP(c->transport))
        return getsockname(c->sfd, addr, len);

    memset(addr, 0, *len);
    if (c->megapipe.local == NULL)
        return -1;
    if (*len > sizeof(*c->megapipe.local))
        *len = sizeof(*c->megapipe.local);
    memcpy(addr, c->megapipe.local, *len);
    return 0;
}

static void megapipe_name_conns(LIBEVENT_THREAD *me) {
    conn *c;
    while ((c = TAILQ_FIRST(&me->megapipe->unnamed)) != NULL) {
        megapipe_forget_names(c);
        megapipe_peer(c);
        megapipe_local(c);
    }
}

static bool megapipe_has_unnamed(const struct megapipe_thread *t) {
    return __atomic_load_n(&t->unnamed.tqh_first, __ATOMIC_RELAXED) != NULL;
}

/********************************** REPORTS **********************************/

static void megapipe_report(LIBEVENT_THREAD *me, bool wants_names) {
    struct mp_stats stats = { .size = sizeof(stats) };
    mp_stats(me->megapipe->channel, &stats);
    pthread_mutex_lock(&me->stats.mutex);
    me->megapipe->stats = stats;
    pthread_mutex_unlock(&me->stats.mutex);

    if (wants_names)
        megapipe_name_conns(me);
}

/* In a worker, for a connection that waits in another. */
static void megapipe_report_worker(LIBEVENT_THREAD *me, conn *requester) {
    megapipe_report(me, requester->megapipe.wants_names);
    if (__atomic_sub_fetch(&requester->megapipe.reports_due, 1, __ATOMIC_ACQ_REL) == 0)
        redispatch_conn(requester);
}

/* True when all have reported. Else the command is left where it is, and comes
 * again when they have.
 */
static bool megapipe_has_reports(conn *c, bool wants_names) {
    struct megapipe_conn *m = &c->megapipe;
    if (m->reported) {
        m->reported = false;
        return true;
    }
    m->wants_names = wants_names;
    /* One is due from here, until all are asked. */
    __atomic_store_n(&m->reports_due, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < settings.num_threads; i++) {
        LIBEVENT_THREAD *worker = get_worker_thread(i);
        if (wants_names && !megapipe_has_unnamed(worker->megapipe))
            continue;
        if (worker == c->thread) {
            megapipe_report(worker, wants_names);
        } else {
            __atomic_add_fetch(&m->reports_due, 1, __ATOMIC_RELAXED);
            thread_call(worker, megapipe_report_worker, c);
        }
    }
    if (__atomic_sub_fetch(&m->reports_due, 1, __ATOMIC_ACQ_REL) == 0)
        return true;
    m->reported = true;
    conn_set_state(c, conn_watch);
    return false;
}

bool megapipe_may_stat(conn *c, const char *key, size_t len) {
    if (len == 5 && memcmp(key, "conns", 5) == 0)
        return megapipe_has_reports(c, true);
    if (len == 8 && memcmp(key, "megapipe", 8) == 0)
        return megapipe_has_reports(c, false);
    return true;
}

/* The next word of a command line; moves on behind it. */
static size_t next_word(const char **at, const char *end, const char **word) {
    while (*at < end && **at == ' ') {
        (*at)++;
    }
    *word = *at;
    while (*at < end && **at != ' ' && **at != '\r' && **at != '\n') {
        (*at)++;
    }
    return *at - *word;
}

static bool is_word(const char *word, size_t len, const char *expected) {
    return len == strlen(expected) && memcmp(word, expected, len) == 0;
}

/*
 * The commands of the LRU crawler that answer like any other. The others dump
 * to the connection's fd from the crawler's thread: metadump here, mgdump from
 * 1.6.21 on, and whatever comes.
 */
static bool megapipe_crawls_by_itself(const char *word, size_t len) {
    static const char *const words[] = { "crawl", "enable", "disable", "sleep", "tocrawl", "", NULL };
    for (int i = 0; words[i] != NULL; i++) {
        if (is_word(word, len, words[i]))
            return true;
    }
    return false;
}

/*
 * Before an ASCII command is processed: false means that it has to stay in the
 * read buffer for now, and conn's state says why.
 */
bool megapipe_may_process(conn *c, const char *line, size_t len) {
    const char *end = line + len;
    const char *word;
    size_t word_len = next_word(&line, end, &word);

    if (is_word(word, word_len, "stats")) {
        word_len = next_word(&line, end, &word);
        return megapipe_may_stat(c, word, word_len);
    }
    if (is_word(word, word_len, "watch"))
        return megapipe_detach(c);
    if (is_word(word, word_len, "lru_crawler")) {
        word_len = next_word(&line, end, &word);
        return megapipe_crawls_by_itself(word, word_len) || megapipe_detach(c);
    }
    return true;
}
