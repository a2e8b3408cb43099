/* -*- Mode: C; tab-width: 4; c-basic-offset: 4; indent-tabs-mode: nil -*- */
/*
 * MegaPipe's options, and what follows from them: which worker serves which
 * CPUs, and how many lwsockets a channel has room for.
 */
#include "memcached.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#define MEGAPIPE_ENVIRONMENT "MEMCACHED_MEGAPIPE"

/*
 * Options from the environment, for test suites that start servers of their
 * own: as if -o "$MEMCACHED_MEGAPIPE" came first on the command line.
 */
void megapipe_environment(int *argc, char ***argv) {
    char *subopts = getenv(MEGAPIPE_ENVIRONMENT);
    if (subopts == NULL || *subopts == '\0')
        return;

    char **longer = calloc(*argc + 3, sizeof(char *));
    if (longer == NULL) {
        perror("Failed to allocate memory for options");
        exit(EX_OSERR);
    }
    longer[0] = (*argv)[0];
    longer[1] = "-o";
    longer[2] = subopts;
    memcpy(longer + 3, *argv + 1, (*argc - 1) * sizeof(char *));
    *argc += 2;
    *argv = longer;
}

/* An option that was given and means nothing without -o megapipe. */
static char needs_megapipe[32];

static bool is_number(const char *name, const char *value, uint32_t min, uint32_t max, int *out) {
    uint32_t number;
    if (value == NULL || !safe_strtoul(value, &number) || number < min || number > max) {
        fprintf(stderr, "%s must be a number from %u to %u\n", name, min, max);
        return false;
    }
    *out = number;
    return true;
}

static bool is_engine(const char *value) {
    static const char *const engines[] = { "auto", "kernel", "uring", "epoll", NULL };
    for (int i = 0; value != NULL && engines[i] != NULL; i++) {
        if (strcmp(value, engines[i]) == 0) {
            settings.megapipe_engine = engines[i];
            return true;
        }
    }
    fprintf(stderr, "megapipe_engine must be auto, kernel, uring or epoll\n");
    return false;
}

/*
 * Takes one suboption that begins with megapipe or no_megapipe.
 * Returns 0, or an exit code when it has said what is wrong.
 */
int megapipe_read_config(char *subopts) {
    enum { ON, ENGINE, BATCH, MODERATION, STEAL, LWSOCKET, NO_LWSOCKET, PARTITION, NO_PARTITION };
    char *const tokens[] = {
        [ON] = "megapipe",
        [ENGINE] = "megapipe_engine",
        [BATCH] = "megapipe_batch",
        [MODERATION] = "megapipe_moderation_us",
        [STEAL] = "megapipe_steal_us",
        [LWSOCKET] = "megapipe_lwsocket",
        [NO_LWSOCKET] = "no_megapipe_lwsocket",
        [PARTITION] = "megapipe_partition",
        [NO_PARTITION] = "no_megapipe_partition",
        NULL
    };
    char *value;
    bool ok = true;

    int token = getsubopt(&subopts, tokens, &value);
    if (token > ON)
        snprintf(needs_megapipe, sizeof(needs_megapipe), "%s", tokens[token]);
    switch (token) {
    case ON:
        settings.megapipe = true;
        break;
    case ENGINE:
        ok = is_engine(value);
        break;
    case BATCH:
        ok = is_number(tokens[token], value, 1, MP_BATCH_MAX, &settings.megapipe_batch);
        break;
    case MODERATION:
        ok = is_number(tokens[token], value, 0, MP_MODERATION_MAX, &settings.megapipe_moderation_us);
        break;
    case STEAL:
        ok = is_number(tokens[token], value, 0, MP_STEAL_MAX, &settings.megapipe_steal_us);
        break;
    case LWSOCKET:
    case NO_LWSOCKET:
        settings.megapipe_lwsocket = token == LWSOCKET;
        break;
    case PARTITION:
    case NO_PARTITION:
        settings.megapipe_partition = token == PARTITION;
        break;
    default:
        fprintf(stderr, "Illegal suboption \"%s\"\n", value);
        return EX_USAGE;
    }
    if (value != NULL && (token == ON || token >= LWSOCKET)) {
        fprintf(stderr, "%s takes no value\n", tokens[token]);
        return EX_USAGE;
    }
    return ok ? 0 : EX_USAGE;
}

static int check_engine(void) {
    struct mp_engine_info info;
    if (strcmp(settings.megapipe_engine, "auto") == 0)
        return 0;

    int error = -mp_engine_probe(settings.megapipe_engine, &info);
    if (error == 0)
        error = info.error < 0 ? -info.error : info.error;
    if (error == 0)
        return 0;
    fprintf(stderr, "MegaPipe's engine \"%s\" doesn't work: %s\n",
            settings.megapipe_engine, error == ENOENT ? strerror(error) : mp_why());
    return EX_UNAVAILABLE;
}

/* What doesn't go together. Returns 0, or an exit code when it has said what. */
int megapipe_check_config(void) {
    if (!settings.megapipe) {
        if (needs_megapipe[0] == '\0')
            return 0;
        fprintf(stderr, "%s needs -o megapipe\n", needs_megapipe);
        return EX_USAGE;
    }
    const char *conflict = megapipe_conflict();
    if (conflict != NULL) {
        fprintf(stderr, "-o megapipe can't be used with %s\n", conflict);
        return EX_USAGE;
    }
    settings.pin_threads = true;
    return check_engine();
}

void megapipe_usage(void) {
    printf("   - megapipe:            do the I/O through MegaPipe channels. pins threads.\n"
           "   - megapipe_engine:     auto, kernel, uring or epoll. (default: %s)\n"
           "   - megapipe_batch:      requests pushed to the kernel together, 1 to %d.\n"
           "                          (default: %d)\n"
           "   - megapipe_moderation_us: wait so long for more completions when there are\n"
           "                          few, 0 to %d. (default: %d, off)\n"
           "   - megapipe_steal_us:   idle threads take connections that wait for one that\n"
           "                          has been busy for so long, 0 to %d. (default: %d, off)\n"
           "   - no_megapipe_lwsocket: accept fds, not lightweight sockets.\n"
           "   - no_megapipe_partition: share listening sockets, don't give each thread the\n"
           "                          connections that its CPU has received.\n"
           "                          (all of these also from $" MEGAPIPE_ENVIRONMENT ")\n",
           settings.megapipe_engine, MP_BATCH_MAX, settings.megapipe_batch,
           MP_MODERATION_MAX, settings.megapipe_moderation_us,
           MP_STEAL_MAX, settings.megapipe_steal_us);
}

/*
 * Worker id has the CPU that it is pinned to, and further ones where there are
 * fewer workers than CPUs: each CPU belongs to one worker. Those that the
 * process may not run on are dealt out too; they receive connections as well.
 * Nothing is left for workers that share a CPU with an earlier one.
 */
void megapipe_owned_cpus(int id, cpu_set_t *cpus) {
    cpu_set_t allowed;
    int n = sysconf(_SC_NPROCESSORS_CONF);
    int nth_allowed = 0, nth_other = 0;

    /* This thread is pinned by now, the process isn't. */
    if (sched_getaffinity(getpid(), sizeof(allowed), &allowed) != 0) {
        perror("Can't find out which CPUs there are");
        exit(EXIT_FAILURE);
    }
    int owners = CPU_COUNT(&allowed);
    if (owners > settings.num_threads)
        owners = settings.num_threads;

    CPU_ZERO(cpus);
    for (int cpu = 0; cpu < n && cpu < CPU_SETSIZE; cpu++) {
        int nth = CPU_ISSET(cpu, &allowed) ? nth_allowed++ : nth_other++;
        if (nth % owners == id)
            CPU_SET(cpu, cpus);
    }
}

/*
 * Room for maxconns in one channel, and for what the kernel may accept before
 * the worker sees the first: as many as there are completions. With less,
 * connections are accepted one at a time.
 */
int megapipe_max_lwsockets(void) {
    int64_t n = settings.maxconns + 2LL * MP_COMPLETIONS_DEFAULT;
    return n < MP_LWSOCKETS_MAX ? n : MP_LWSOCKETS_MAX;
}

/*
 * A channel has no more lwsockets than the process may have files: as many as
 * it wants, or as are allowed. False if that isn't even more than maxconns.
 */
bool megapipe_raise_files(void) {
    struct rlimit wanted, before;
    wanted.rlim_cur = wanted.rlim_max = megapipe_max_lwsockets();
    if (setrlimit(RLIMIT_NOFILE, &wanted) == 0)
        return true;
    if (getrlimit(RLIMIT_NOFILE, &before) != 0 || before.rlim_max <= settings.maxconns)
        return false;
    before.rlim_cur = before.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &before) == 0;
}
