/* -*- Mode: C; tab-width: 4; c-basic-offset: 4; indent-tabs-mode: nil -*- */
/*
 * "stats megapipe": what the workers' channels have done, of the copies that
 * they have left of their figures.
 */
#include "memcached.h"

#include <stdio.h>
#include <string.h>

static double mean(uint64_t sum, uint64_t n) {
    return n > 0 ? (double)sum / n : 0;
}

static uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static void add_up(struct mp_stats *total, const struct mp_stats *s) {
    total->requests += s->requests;
    total->completions += s->completions;
    total->flushes += s->flushes;
    total->flushed += s->flushed;
    total->largest_flush = larger(total->largest_flush, s->largest_flush);
    total->fetches += s->fetches;
    total->fetched += s->fetched;
    total->largest_fetch = larger(total->largest_fetch, s->largest_fetch);
    total->crossings += s->crossings;
    total->accepted += s->accepted;
    total->buffer_waits += s->buffer_waits;
    total->overflows += s->overflows;
    total->handles += s->handles;
    total->lwsockets += s->lwsockets;
    total->buffers_held += s->buffers_held;
    total->accepts_paused += s->accepts_paused;
    total->lwsocket_waits += s->lwsocket_waits;
    total->accept_failures += s->accept_failures;
    total->accepts_stolen += s->accepts_stolen;
    total->max_lwsockets += s->max_lwsockets;
    total->buffers += s->buffers;
    total->completion_entries += s->completion_entries;
}

static void append_channel(const char *prefix, const struct mp_stats *s, ADD_STAT add_stats, void *c) {
    char name[STAT_KEY_LEN];
#define STAT(stat, fmt, value) do { \
        snprintf(name, sizeof(name), "%s%s", prefix, stat); \
        APPEND_STAT(name, fmt, value); \
    } while (0)
#define COUNT(stat, value) STAT(stat, "%llu", (unsigned long long)(value))
    COUNT("accepted", s->accepted);
    COUNT("requests", s->requests);
    COUNT("completions", s->completions);
    COUNT("crossings", s->crossings);
    COUNT("flushes", s->flushes);
    STAT("batch_mean", "%.2f", mean(s->flushed, s->flushes));
    COUNT("batch_max", s->largest_flush);
    COUNT("fetches", s->fetches);
    STAT("fetch_mean", "%.2f", mean(s->fetched, s->fetches));
    COUNT("fetch_max", s->largest_fetch);
    COUNT("buffer_waits", s->buffer_waits);
    COUNT("overflows", s->overflows);
    COUNT("handles", s->handles);
    COUNT("lwsockets", s->lwsockets);
    COUNT("buffers_held", s->buffers_held);
    COUNT("accepts_paused", s->accepts_paused);
    COUNT("lwsocket_waits", s->lwsocket_waits);
    COUNT("accept_failures", s->accept_failures);
    COUNT("accepts_stolen", s->accepts_stolen);
    /* What limits have left of the sizes of channels. */
    COUNT("max_lwsockets", s->max_lwsockets);
    COUNT("buffers", s->buffers);
    COUNT("completion_entries", s->completion_entries);
#undef COUNT
#undef STAT
}

/* One block for each worker, then the sums. */
static void append_channels(ADD_STAT add_stats, void *c) {
    struct mp_stats total;
    char prefix[16];
    char name[STAT_KEY_LEN];

    memset(&total, 0, sizeof(total));
    for (int i = 0; i < settings.num_threads; i++) {
        LIBEVENT_THREAD *t = get_worker_thread(i);
        pthread_mutex_lock(&t->stats.mutex);
        struct mp_stats stats = t->megapipe->stats;
        pthread_mutex_unlock(&t->stats.mutex);

        snprintf(prefix, sizeof(prefix), "%d:", i);
        snprintf(name, sizeof(name), "%d:engine", i);
        APPEND_STAT(name, "%s", t->megapipe->engine);
        append_channel(prefix, &stats, add_stats, c);
        add_up(&total, &stats);
    }
    append_channel("", &total, add_stats, c);
}

/* "stats megapipe" */
void megapipe_stats(ADD_STAT add_stats, void *c) {
    APPEND_STAT("enabled", "%s", settings.megapipe ? "yes" : "no");
    if (settings.megapipe) {
        APPEND_STAT("engine", "%s", get_worker_thread(0)->megapipe->engine);
        APPEND_STAT("partition", "%s", settings.megapipe_partition ? "yes" : "no");
        APPEND_STAT("batch", "%d", settings.megapipe_batch);
        APPEND_STAT("lwsocket", "%s", settings.megapipe_lwsocket ? "yes" : "no");
        APPEND_STAT("moderation_us", "%d", settings.megapipe_moderation_us);
        APPEND_STAT("steal_us", "%d", settings.megapipe_steal_us);
        append_channels(add_stats, c);
    }
    add_stats(NULL, 0, NULL, 0, c);
}
