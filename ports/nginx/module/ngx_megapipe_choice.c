
/*
 * The engine and the sizes of all workers' channels, which the master decides
 * for each configuration: all get the same, or it is refused before it is in
 * force. What there is room for depends on the user that the workers are, and
 * on what the workers of before hold still: a child of the master becomes that
 * user, and tries.
 */

#include <ngx_megapipe.h>
#include <grp.h>


typedef struct {
    ngx_core_conf_t      *ccf;
    struct mp_options     options;
    ngx_uint_t            processes;
} ngx_megapipe_wish_t;


static void ngx_megapipe_try(ngx_megapipe_wish_t *wish,
    ngx_megapipe_choice_t *choice);
static void ngx_megapipe_try_again(ngx_megapipe_wish_t *wish,
    ngx_megapipe_choice_t *choice);
static ngx_int_t ngx_megapipe_try_as_worker(ngx_megapipe_wish_t *wish,
    ngx_megapipe_choice_t *choice, ngx_log_t *log);
static void ngx_megapipe_become_worker(ngx_megapipe_wish_t *wish,
    ngx_megapipe_choice_t *choice);


/* all that have a channel: workers, and those who care for caches */

static ngx_uint_t
ngx_megapipe_processes(ngx_cycle_t *cycle, ngx_core_conf_t *ccf)
{
    ngx_uint_t    i, manager, loader;
    ngx_path_t  **path;

    manager = 0;
    loader = 0;
    path = ngx_megapipe_paths(cycle)->elts;

    for (i = 0; i < ngx_megapipe_paths(cycle)->nelts; i++) {
        manager |= path[i]->manager != NULL;
        loader |= path[i]->loader != NULL;
    }

    return ngx_min(ccf->worker_processes + manager + loader, MP_CHANNELS_MAX);
}


/* at the end of reading a configuration */

char *
ngx_megapipe_choose(ngx_cycle_t *cycle, ngx_megapipe_conf_t *mcf)
{
    ngx_int_t               rc;
    ngx_core_conf_t        *ccf;
    ngx_megapipe_wish_t     wish;
    ngx_megapipe_choice_t  *choice;

    if (ngx_process == NGX_PROCESS_SIGNALLER) {
        return NGX_CONF_OK;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    choice = &mcf->choice;

    wish.ccf = ccf;
    ngx_megapipe_options(cycle, mcf, &wish.options);

    if (!ccf->master) {

        /* it keeps the channel that it has */

        if (ngx_megapipe.channel) {
            return NGX_CONF_OK;
        }

        wish.processes = 1;
        ngx_megapipe_try(&wish, choice);
        rc = NGX_OK;

    } else {
        wish.processes = ngx_megapipe_processes(cycle, ccf);
        rc = ngx_megapipe_try_as_worker(&wish, choice, cycle->log);
    }

    if (rc != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (choice->error) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, choice->error,
                      "megapipe_engine \"%s\" does not work for %ui "
                      "processes: %s", wish.options.engine, wish.processes,
                      choice->why);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* In the error log that the configuration names, and to who tests it. */

void
ngx_megapipe_tell_choice(ngx_cycle_t *cycle, ngx_megapipe_conf_t *mcf)
{
    ngx_megapipe_choice_t  *choice;

    choice = &mcf->choice;

    if (choice->engine[0] == '\0') {
        return;
    }

    if (mcf->engine == 0 && ngx_strcmp(choice->engine, "epoll") == 0) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "megapipe_engine is \"epoll\": %s", choice->why);
    }

    if (choice->again_error) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, choice->again_error,
                      "megapipe: at a reload there is no room for the next "
                      "workers while the old ones drain: %s",
                      choice->again_why);
    }

    if (ngx_test_config) {
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                  "megapipe: engine %s, batch %i, lwsocket %s, partition %s, "
                  "moderation %i us, %uD buffers of %uz bytes, "
                  "%uD completions, this kernel has %s, lacks %s",
                  choice->engine, mcf->batch, mcf->lwsocket ? "on" : "off",
                  mcf->partition ? "on" : "off", mcf->moderation_us,
                  choice->buffers, mcf->buffers.size, choice->completions,
                  choice->info.features[0] ? choice->info.features : "nothing",
                  choice->info.missing[0] ? choice->info.missing : "nothing");
}


static void
ngx_megapipe_try(ngx_megapipe_wish_t *wish, ngx_megapipe_choice_t *choice)
{
    struct mp_options  options;

    options = wish->options;

    choice->error = -mp_choose(&options, wish->processes);

    ngx_cpystrn((u_char *) choice->why, (u_char *) mp_why(),
                sizeof(choice->why));

    if (choice->error) {
        return;
    }

    ngx_cpystrn((u_char *) choice->engine, (u_char *) options.engine,
                sizeof(choice->engine));

    choice->buffers = options.buffers;
    choice->completions = options.completions;

    (void) mp_engine_probe(options.engine, &choice->info);
}


/* At a reload there are twice as many for a while. */

static void
ngx_megapipe_try_again(ngx_megapipe_wish_t *wish,
    ngx_megapipe_choice_t *choice)
{
    ngx_uint_t         processes;
    struct mp_options  options;

    /* memory that is locked is what only this one needs */

    if (choice->error || ngx_strcmp(choice->engine, "uring") != 0) {
        return;
    }

    options = wish->options;
    options.engine = choice->engine;
    processes = ngx_min(2 * wish->processes, MP_CHANNELS_MAX);

    choice->again_error = -mp_choose(&options, processes);

    if (choice->again_error) {
        ngx_cpystrn((u_char *) choice->again_why, (u_char *) mp_why(),
                    sizeof(choice->again_why));
        return;
    }

    choice->buffers = options.buffers;
    choice->completions = options.completions;
}


/* SIGCHLD is blocked in a master that reads a configuration */

static ngx_int_t
ngx_megapipe_try_as_worker(ngx_megapipe_wish_t *wish,
    ngx_megapipe_choice_t *choice, ngx_log_t *log)
{
    int      fds[2];
    pid_t    pid;
    ssize_t  n;

    if (pipe(fds) == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno, "pipe() failed");
        return NGX_ERROR;
    }

    pid = fork();

    if (pid == 0) {
        ngx_megapipe_become_worker(wish, choice);

        if (choice->error == 0) {
            ngx_megapipe_try(wish, choice);
            ngx_megapipe_try_again(wish, choice);
        }

        n = write(fds[1], choice, sizeof(ngx_megapipe_choice_t));
        _exit(n != sizeof(ngx_megapipe_choice_t));
    }

    (void) close(fds[1]);

    if (pid == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno, "fork() failed");
        (void) close(fds[0]);
        return NGX_ERROR;
    }

    do {
        n = read(fds[0], choice, sizeof(ngx_megapipe_choice_t));
    } while (n == -1 && ngx_errno == NGX_EINTR);

    (void) close(fds[0]);

    while (waitpid(pid, NULL, 0) == -1 && ngx_errno == NGX_EINTR) {
        /* void */
    }

    if (n != sizeof(ngx_megapipe_choice_t)) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "the process that tries for what channels there is room "
                      "has died");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_megapipe_become_worker(ngx_megapipe_wish_t *wish,
    ngx_megapipe_choice_t *choice)
{
    struct rlimit     limit;
    ngx_core_conf_t  *ccf;

    ccf = wish->ccf;

    /* here are the descriptors of all of them */

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
    }

    if (geteuid() != 0) {
        return;
    }

    if (setgid(ccf->group) == -1
        || initgroups(ccf->username, ccf->group) == -1
        || setuid(ccf->user) == -1)
    {
        choice->error = ngx_errno;

        ngx_cpystrn((u_char *) choice->why,
                    (u_char *) "it can't be tried as the workers' user",
                    sizeof(choice->why));
    }
}
