/* -*- Mode: C; tab-width: 4; c-basic-offset: 4; indent-tabs-mode: nil -*- */
/*
 * What the ports of all versions of memcached have in common. Included by each
 * version's mc_megapipe.h.
 */
#ifndef MC_MEGAPIPE_SHARED_H
#define MC_MEGAPIPE_SHARED_H

#include <sched.h>
#include <megapipe.h>

/* Options (mc_megapipe_config.c). */
void megapipe_environment(int *argc, char ***argv);
int megapipe_read_config(char *subopts);
int megapipe_check_config(void);
void megapipe_usage(void);
int megapipe_max_lwsockets(void);
bool megapipe_raise_files(void);
void megapipe_owned_cpus(int id, cpu_set_t *cpus);

/* What of memcached MegaPipe can't be used with, if it is asked for
 * (mc_megapipe.c of each version).
 */
const char *megapipe_conflict(void);

/* Connections that were accepted already when room ran out. */
struct megapipe_waiting {
    int *ids;
    size_t count;
    size_t size;
};

/* What may fail for each connection; told by each worker once a second. */
enum megapipe_trouble {
    MEGAPIPE_ACCEPT,
    MEGAPIPE_REGISTER,
    MEGAPIPE_RECEIVE,
    MEGAPIPE_DETACH,
    MEGAPIPE_TROUBLES
};

struct megapipe_told {
    rel_time_t at;
    unsigned int times;     /* since then */
};

/* Worker threads, and how they listen (mc_megapipe_worker.c). */
void megapipe_tell(LIBEVENT_THREAD *me, enum megapipe_trouble what, int error);
struct megapipe_thread *megapipe_thread_new(LIBEVENT_THREAD *me, int notify_fd);
struct mp_handle *megapipe_listen_part(LIBEVENT_THREAD *me, int sfd, bool may_part, void *cookie);
void megapipe_workers_begin(void);
void megapipe_worker_listens(void);
void megapipe_await_workers(void);
bool megapipe_waiting_add(struct megapipe_waiting *w, int id);
void megapipe_waiting_drop(struct megapipe_waiting *w, size_t count);
void megapipe_reject(LIBEVENT_THREAD *me, int id);
extern char megapipe_rejected; /* the cookie of who is turned away */

/* "stats megapipe" (mc_megapipe_stats.c). */
void megapipe_stats(ADD_STAT add_stats, void *c);

#endif
