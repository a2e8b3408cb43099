/* -*- Mode: C; tab-width: 4; c-basic-offset: 4; indent-tabs-mode: nil -*- */
/*
 * Worker threads: how they come to their channels, listen for themselves, and
 * turn connections away. What they do with the others is in mc_megapipe.c.
 */
#include "memcached.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void megapipe_channel_failed(const char *why) {
    fprintf(stderr, "Can't make %d MegaPipe channels with engine \"%s\": %s\n",
            settings.num_threads, settings.megapipe_engine, why);
    exit(EXIT_FAILURE);
}

static struct mp_options channel_options;
static char why_not_faster[256]; /* "auto" has taken the last of the engines */

/*
 * By the first worker: by then memcached is the user that it stays, whose limits
 * count. All workers get the same engine, and rings for which there is room.
 */
static void megapipe_choose(void) {
    channel_options = (struct mp_options) {
        .size = sizeof(channel_options),
        .engine = settings.megapipe_engine,
        .batch = settings.megapipe_batch,
        .max_lwsockets = megapipe_max_lwsockets(),
        .moderation_us = settings.megapipe_moderation_us,
        .steal_us = settings.megapipe_steal_us,
    };
    if (mp_choose(&channel_options, settings.num_threads) != 0)
        megapipe_channel_failed(mp_why());
    if (strcmp(channel_options.engine, settings.megapipe_engine) != 0
            && strcmp(channel_options.engine, "epoll") == 0)
        snprintf(why_not_faster, sizeof(why_not_faster), " (%s)", mp_why());
}

/* One line at the start, of what the server has got: options and limits decide. */
static void megapipe_announce(const struct megapipe_thread *t) {
    struct mp_stats s = { .size = sizeof(s) };
    mp_stats(t->channel, &s);
    fprintf(stderr, "MegaPipe: engine %s%s, partition %s, batch %d, lwsocket %s;"
            " each of %d workers has room for %u lwsockets, %u buffers, %u completions\n",
            t->engine, why_not_faster, settings.megapipe_partition ? "on" : "off",
            settings.megapipe_batch, settings.megapipe_lwsocket ? "on" : "off",
            settings.num_threads, s.max_lwsockets, s.buffers, s.completion_entries);
}

/* In the worker thread: its channel, which also watches what wakes the worker. */
struct megapipe_thread *megapipe_thread_new(LIBEVENT_THREAD *me, int notify_fd) {
    static pthread_once_t chosen = PTHREAD_ONCE_INIT;
    struct megapipe_thread *t = calloc(1, sizeof(*t));
    if (t == NULL)
        megapipe_channel_failed(strerror(ENOMEM));
    pthread_once(&chosen, megapipe_choose);
    if (mp_create(&channel_options, &t->channel) != 0)
        megapipe_channel_failed(mp_why());
    int res = mp_register(t->channel, notify_fd, me, NULL, &t->notify);
    if (res != 0)
        megapipe_channel_failed(strerror(-res));
    t->engine = mp_engine_name(t->channel);
    if (me == get_worker_thread(0))
        megapipe_announce(t);
    return t;
}

/*
 * Memory and descriptors may be short for every connection that comes: a line
 * each would fill the log. So the first is told, and then once a second how many
 * there were.
 */
void megapipe_tell(LIBEVENT_THREAD *me, enum megapipe_trouble what, int error) {
    static const char *const troubles[] = {
        [MEGAPIPE_ACCEPT] = "accept connections",
        [MEGAPIPE_REGISTER] = "register a connection with its channel",
        [MEGAPIPE_RECEIVE] = "receive from a connection",
        [MEGAPIPE_DETACH] = "make an fd of a connection",
    };
    struct megapipe_told *told = &me->megapipe->told[what];
    told->times++;
    if (told->at == current_time)
        return;
    fprintf(stderr, "Worker %d can't %s: %s", (int)(me - get_worker_thread(0)), troubles[what], strerror(error));
    if (told->times > 1)
        fprintf(stderr, " (%u times)", told->times);
    fprintf(stderr, "\n");
    told->at = current_time;
    told->times = 0;
}

/********************************* LISTENING *********************************/

static struct mp_handle *megapipe_listen_fd(struct mp_channel *channel, int sfd, void *cookie,
        const cpu_set_t *cpus) {
    struct mp_handle *handle;
    int res = mp_register(channel, sfd, cookie, cpus, &handle);
    if (res == 0)
        res = mp_accept(handle, MP_ACCEPT_ALL, settings.megapipe_lwsocket);
    if (res == -EOPNOTSUPP) {
        fprintf(stderr, "This kernel can't steer connections to the CPU that has received them"
                " (needs Linux 6.2 or a 6.1 stable release): add -o no_megapipe_partition\n");
        exit(EXIT_FAILURE);
    } else if (res != 0) {
        fprintf(stderr, "Can't accept connections in a worker thread: %s\n", strerror(-res));
        exit(EXIT_FAILURE);
    }
    return handle;
}

/*
 * In each worker: accept from a listening socket, or from our part of it. NULL
 * if others have all parts.
 */
struct mp_handle *megapipe_listen_part(LIBEVENT_THREAD *me, int sfd, bool may_part, void *cookie) {
    cpu_set_t cpus;
    if (!settings.megapipe_partition || !may_part)
        return megapipe_listen_fd(me->megapipe->channel, sfd, cookie, NULL);

    megapipe_owned_cpus(me - get_worker_thread(0), &cpus);
    if (CPU_COUNT(&cpus) == 0)
        return NULL;
    return megapipe_listen_fd(me->megapipe->channel, sfd, cookie, &cpus);
}

static sem_t listening;

/* In the main thread, before it asks the workers to listen. */
void megapipe_workers_begin(void) {
    sem_init(&listening, 0, 0);
}

/* In each worker, when it does. */
void megapipe_worker_listens(void) {
    sem_post(&listening);
}

/* In the main thread again: returns when all do. */
void megapipe_await_workers(void) {
    for (int i = 0; i < settings.num_threads; i++) {
        while (sem_wait(&listening) != 0) {
            /* a signal */
        }
    }
    sem_destroy(&listening);
}

/******************************** WITHOUT ROOM *******************************/

/* False without memory. */
bool megapipe_waiting_add(struct megapipe_waiting *w, int id) {
    if (w->count == w->size) {
        size_t size = w->size ? w->size * 2 : 16;
        int *ids = realloc(w->ids, size * sizeof(*ids));
        if (ids == NULL)
            return false;
        w->ids = ids;
        w->size = size;
    }
    w->ids[w->count++] = id;
    return true;
}

/* The first ones. */
void megapipe_waiting_drop(struct megapipe_waiting *w, size_t count) {
    w->count -= count;
    if (w->count > 0)
        memmove(w->ids, w->ids + count, w->count * sizeof(*w->ids));
}

/* The events of connections that are turned away mean nothing. */
char megapipe_rejected;

void megapipe_reject(LIBEVENT_THREAD *me, int id) {
    static const char str[] = "ERROR Too many open connections\r\n";
    struct mp_handle *handle;

    STATS_LOCK();
    stats.rejected_conns++;
    STATS_UNLOCK();
    if (mp_register(me->megapipe->channel, id, &megapipe_rejected, NULL, &handle) == 0) {
        mp_write(handle, str, sizeof(str) - 1);
        mp_close_within(handle, 0);
    }
}
