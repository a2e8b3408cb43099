
/*
 * The module: directives, configuration, begin and end of a worker's channel.
 */

#include <ngx_megapipe.h>


/* of a number; the least one turns off what it is about */
typedef struct {
    ngx_conf_post_handler_pt  post_handler;
    char                     *name;
    ngx_int_t                 off;
    ngx_int_t                 most;
    char                     *unit;
} ngx_megapipe_range_t;


static ngx_int_t ngx_megapipe_init(ngx_cycle_t *cycle, ngx_msec_t timer);
static void ngx_megapipe_done(ngx_cycle_t *cycle);
static ngx_int_t ngx_megapipe_init_module(ngx_cycle_t *cycle);
static void *ngx_megapipe_create_conf(ngx_cycle_t *cycle);
static ngx_int_t ngx_megapipe_read_environment(ngx_cycle_t *cycle);
static char *ngx_megapipe_init_conf(ngx_cycle_t *cycle, void *conf);
static char *ngx_megapipe_check_range(ngx_conf_t *cf, void *post, void *data);
static char *ngx_megapipe_check_buffers(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_megapipe_set_buffers(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_str_t  megapipe_name = ngx_string("megapipe");

static char  ngx_megapipe_unnamed[] = "megapipe";

/* NGX_MEGAPIPE_DEFAULT and NGX_MEGAPIPE_ENGINE in the environment */
static ngx_uint_t  ngx_megapipe_by_default;
static char       *ngx_megapipe_default_engine;

ngx_megapipe_t  ngx_megapipe;

__thread ngx_uint_t  ngx_megapipe_is_here;

static ngx_conf_enum_t  ngx_megapipe_engines[] = {
    { ngx_string("auto"), 0 },
    { ngx_string("kernel"), 1 },
    { ngx_string("uring"), 2 },
    { ngx_string("epoll"), 3 },
    { ngx_null_string, 0 }
};

static ngx_megapipe_range_t  ngx_megapipe_batch_range =
    { ngx_megapipe_check_range, "batch", 1, MP_BATCH_MAX, "" };

static ngx_megapipe_range_t  ngx_megapipe_moderation_range =
    { ngx_megapipe_check_range, "moderation", 0, MP_MODERATION_MAX,
      " microseconds" };


static ngx_command_t  ngx_megapipe_commands[] = {

    { ngx_string("megapipe_engine"),
      NGX_EVENT_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      0,
      offsetof(ngx_megapipe_conf_t, engine),
      &ngx_megapipe_engines },

    { ngx_string("megapipe_batch"),
      NGX_EVENT_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      0,
      offsetof(ngx_megapipe_conf_t, batch),
      &ngx_megapipe_batch_range },

    { ngx_string("megapipe_moderation_us"),
      NGX_EVENT_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      0,
      offsetof(ngx_megapipe_conf_t, moderation_us),
      &ngx_megapipe_moderation_range },

    { ngx_string("megapipe_lwsocket"),
      NGX_EVENT_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      0,
      offsetof(ngx_megapipe_conf_t, lwsocket),
      NULL },

    { ngx_string("megapipe_partition"),
      NGX_EVENT_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      0,
      offsetof(ngx_megapipe_conf_t, partition),
      NULL },

    { ngx_string("megapipe_buffers"),
      NGX_EVENT_CONF|NGX_CONF_TAKE2,
      ngx_megapipe_set_buffers,
      0,
      offsetof(ngx_megapipe_conf_t, buffers),
      NULL },

      ngx_null_command
};


static ngx_event_module_t  ngx_megapipe_module_ctx = {
    &megapipe_name,
    ngx_megapipe_create_conf,            /* create configuration */
    ngx_megapipe_init_conf,              /* init configuration */

    {
        ngx_megapipe_add_event,          /* add an event */
        ngx_megapipe_del_event,          /* delete an event */
        ngx_megapipe_add_event,          /* enable an event */
        ngx_megapipe_del_event,          /* disable an event */
        ngx_megapipe_add_connection,     /* add an connection */
        ngx_megapipe_del_connection,     /* delete an connection */
        NGX_MEGAPIPE_NOTIFY,             /* trigger a notify */
        ngx_megapipe_process_events,     /* process the events */
        ngx_megapipe_init,               /* init the events */
        ngx_megapipe_done,               /* done the events */
    }
};

ngx_module_t  ngx_megapipe_module = {
    NGX_MODULE_V1,
    &ngx_megapipe_module_ctx,            /* module context */
    ngx_megapipe_commands,               /* module directives */
    NGX_EVENT_MODULE,                    /* module type */
    NULL,                                /* init master */
    ngx_megapipe_init_module,            /* init module */
    NULL,                                /* init process */
    NULL,                                /* init thread */
    NULL,                                /* exit thread */
    ngx_megapipe_done,                   /* exit process */
    NULL,                                /* exit master */
    NGX_MODULE_V1_PADDING
};


/* of each worker's channel, as far as the configuration says */

void
ngx_megapipe_options(ngx_cycle_t *cycle, ngx_megapipe_conf_t *mcf,
    struct mp_options *options)
{
    ngx_memzero(options, sizeof(struct mp_options));

    options->size = sizeof(struct mp_options);
    options->engine = (char *) ngx_megapipe_engines[mcf->engine].name.data;
    options->batch = mcf->batch;
    options->moderation_us = mcf->moderation_us;
    options->accept_peer = 1;
    options->buffers = mcf->buffers.num;
    options->buffer_size = mcf->buffers.size;

    /* some are accepted before nginx takes them, some are still closing */
    options->max_lwsockets = ngx_min(2 * cycle->connection_n + 1024,
                                     MP_LWSOCKETS_MAX);
}


static ngx_int_t
ngx_megapipe_create_channel(ngx_cycle_t *cycle, ngx_megapipe_conf_t *mcf)
{
    int                err;
    struct mp_options  options;

    ngx_megapipe_options(cycle, mcf, &options);

    options.engine = mcf->choice.engine;
    options.buffers = mcf->choice.buffers;
    options.completions = mcf->choice.completions;

    err = mp_create(&options, &ngx_megapipe.channel);

    if (err < 0 && mcf->engine == 0) {

        /* others have taken the room meanwhile: "auto" allows for it */

        ngx_log_error(NGX_LOG_WARN, cycle->log, -err,
                      "megapipe_engine of this worker is \"epoll\", not "
                      "\"%s\": %s", options.engine, mp_why());

        options.engine = "epoll";
        err = mp_create(&options, &ngx_megapipe.channel);
    }

    if (err < 0) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, -err,
                      "mp_create() failed, megapipe_engine %s: %s",
                      options.engine, mp_why());
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_megapipe_init(ngx_cycle_t *cycle, ngx_msec_t timer)
{
    ngx_megapipe_conf_t  *mcf;

    static ngx_os_io_t    io;

    mcf = ngx_megapipe_used(cycle);

    ngx_megapipe.conf = mcf;
    ngx_megapipe.log = cycle->log;

    if (ngx_megapipe.channel == NULL) {
        ngx_queue_init(&ngx_megapipe.unflushed);
        ngx_queue_init(&ngx_megapipe.holding);

        if (mcf->partition) {
            ngx_megapipe_claim_queues(cycle);
        }

        if (ngx_megapipe_create_channel(cycle, mcf) != NGX_OK
            || ngx_megapipe_readiness_init(cycle->log) != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_megapipe_aio_init(cycle->log);
        ngx_megapipe_is_here = 1;
    }

    /* completions wake nobody in vain: there is no herd to keep back */
    ngx_use_accept_mutex = 0;

    io = ngx_os_io;
    io.recv = ngx_megapipe_recv;
    io.recv_chain = ngx_megapipe_recv_chain;
    io.send = ngx_megapipe_send;
    io.send_chain = ngx_megapipe_send_chain;

    /* files come to send_chain() unread */
    io.flags |= NGX_IO_SENDFILE;

    ngx_io = io;

    ngx_event_actions = ngx_megapipe_module_ctx.actions;
    ngx_event_flags = NGX_USE_CLEAR_EVENT|NGX_USE_GREEDY_EVENT;

    return NGX_OK;
}


static void
ngx_megapipe_done(ngx_cycle_t *cycle)
{
    struct mp_stats  stats;

    if (ngx_megapipe.channel == NULL) {
        return;
    }

    ngx_megapipe_finish();

    stats.size = sizeof(struct mp_stats);
    mp_stats(ngx_megapipe.channel, &stats);

    ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                  "megapipe: requests %uL, completions %uL, crossings %uL, "
                  "largest batch %uL", stats.requests, stats.completions,
                  stats.crossings, stats.largest_flush);

    ngx_megapipe_aio_done();
    ngx_megapipe_readiness_done();
    ngx_megapipe_forget_all();

    mp_destroy(ngx_megapipe.channel);
    ngx_megapipe.channel = NULL;
}


/* the configuration where "megapipe" is the event method, else NULL */

ngx_megapipe_conf_t *
ngx_megapipe_used(ngx_cycle_t *cycle)
{
    ngx_event_conf_t  *ecf;

    if (ngx_get_conf(cycle->conf_ctx, ngx_events_module) == NULL) {
        return NULL;
    }

    ecf = ngx_event_get_conf(cycle->conf_ctx, ngx_event_core_module);

    if (ecf->use != ngx_megapipe_module.ctx_index) {
        return NULL;
    }

    return ngx_event_get_conf(cycle->conf_ctx, ngx_megapipe_module);
}


static ngx_int_t
ngx_megapipe_init_module(ngx_cycle_t *cycle)
{
    ngx_megapipe_conf_t  *mcf;

    mcf = ngx_megapipe_used(cycle);

    if (mcf) {
        ngx_megapipe_tell_choice(cycle, mcf);
    }

    return ngx_megapipe_steer(cycle);
}


static void *
ngx_megapipe_create_conf(ngx_cycle_t *cycle)
{
    ngx_event_conf_t     *ecf;
    ngx_megapipe_conf_t  *mcf;

    mcf = ngx_pcalloc(cycle->pool, sizeof(ngx_megapipe_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    mcf->engine = NGX_CONF_UNSET_UINT;
    mcf->batch = NGX_CONF_UNSET;
    mcf->moderation_us = NGX_CONF_UNSET;
    mcf->lwsocket = NGX_CONF_UNSET;
    mcf->partition = NGX_CONF_UNSET;

    /* stays where "use" doesn't name another: see ngx_megapipe_default() */

    ecf = ngx_event_get_conf(cycle->conf_ctx, ngx_event_core_module);

    if (ngx_megapipe_read_environment(cycle) != NGX_OK) {
        return NULL;
    }

    if (ngx_megapipe_by_default) {
        ecf->name = (u_char *) ngx_megapipe_unnamed;
    }

    return mcf;
}


/*
 * Once: nginx may replace its environment when it reads a configuration, with
 * http_perl_module for one. A new binary gets them as by the directive "env".
 */

static ngx_int_t
ngx_megapipe_read_environment(ngx_cycle_t *cycle)
{
    ngx_str_t        *var;
    ngx_uint_t        i;
    ngx_core_conf_t  *ccf;

    static ngx_uint_t  read;
    static ngx_str_t   names[] = {
        ngx_string("NGX_MEGAPIPE_DEFAULT"),
        ngx_string("NGX_MEGAPIPE_ENGINE")
    };

    if (!read) {
        read = 1;
        ngx_megapipe_by_default = getenv((char *) names[0].data) != NULL;
        ngx_megapipe_default_engine = getenv((char *) names[1].data);
    }

    if (!ngx_megapipe_by_default) {
        return NGX_OK;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    for (i = 0; i < 2; i++) {
        var = ngx_array_push(&ccf->env);
        if (var == NULL) {
            return NGX_ERROR;
        }

        *var = names[i];
    }

    return NGX_OK;
}


/*
 * Test suites that were written for stock nginx have no "use" in their
 * configurations: NGX_MEGAPIPE_DEFAULT in the environment makes "megapipe" the
 * default, and NGX_MEGAPIPE_ENGINE gives "megapipe_engine" a default.
 */

static char *
ngx_megapipe_default(ngx_cycle_t *cycle, ngx_megapipe_conf_t *mcf)
{
    ngx_uint_t         i;
    ngx_event_conf_t  *ecf;

    ecf = ngx_event_get_conf(cycle->conf_ctx, ngx_event_core_module);

    if (ecf->name != (u_char *) ngx_megapipe_unnamed) {

        if (ngx_megapipe_by_default
            && ecf->use != ngx_megapipe_module.ctx_index)
        {
            ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                          "NGX_MEGAPIPE_DEFAULT has no effect: the "
                          "configuration has \"use %s\"", ecf->name);
        }

        return NGX_CONF_OK;
    }

    ecf->use = ngx_megapipe_module.ctx_index;
    ecf->name = megapipe_name.data;

    if (ngx_megapipe_default_engine == NULL
        || mcf->engine != NGX_CONF_UNSET_UINT)
    {
        return NGX_CONF_OK;
    }

    for (i = 0; ngx_megapipe_engines[i].name.len; i++) {
        if (ngx_strcmp(ngx_megapipe_default_engine,
                       ngx_megapipe_engines[i].name.data)
            == 0)
        {
            mcf->engine = i;
            return NGX_CONF_OK;
        }
    }

    ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                  "NGX_MEGAPIPE_ENGINE names no engine: \"%s\"",
                  ngx_megapipe_default_engine);
    return NGX_CONF_ERROR;
}


static char *
ngx_megapipe_init_conf(ngx_cycle_t *cycle, void *conf)
{
    ngx_megapipe_conf_t *mcf = conf;

    ngx_uint_t         given;
    ngx_event_conf_t  *ecf;

    if (ngx_megapipe_default(cycle, mcf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    given = mcf->engine != NGX_CONF_UNSET_UINT || mcf->batch != NGX_CONF_UNSET
            || mcf->moderation_us != NGX_CONF_UNSET
            || mcf->lwsocket != NGX_CONF_UNSET
            || mcf->partition != NGX_CONF_UNSET || mcf->buffers.num;

    ngx_conf_init_uint_value(mcf->engine, 0);
    ngx_conf_init_value(mcf->batch, MP_BATCH_DEFAULT);
    ngx_conf_init_value(mcf->moderation_us, 0);
    ngx_conf_init_value(mcf->lwsocket, 1);

    if (mcf->buffers.num == 0) {
        mcf->buffers.num = 1024;
        mcf->buffers.size = 8192;
    }

    ecf = ngx_event_get_conf(cycle->conf_ctx, ngx_event_core_module);

    if (ecf->use != ngx_megapipe_module.ctx_index) {
        if (given) {
            ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                          "\"megapipe_...\" directives have no effect "
                          "without \"use megapipe\"");
        }

        return NGX_CONF_OK;
    }

    if (ngx_megapipe_redirect_modules(cycle) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_megapipe_check_range(ngx_conf_t *cf, void *post, void *data)
{
    ngx_int_t             *value = data;
    ngx_megapipe_range_t  *range = post;

    if (*value < range->off || *value > range->most) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the %s must be between %i (off) and %i%s",
                           range->name, range->off, range->most, range->unit);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_megapipe_check_buffers(ngx_conf_t *cf, void *post, void *data)
{
    ngx_bufs_t *buffers = data;

    if (buffers->num > MP_BUFFERS_MAX
        || (buffers->num & (buffers->num - 1)) != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the number of buffers must be a power of two, "
                           "%d at most", MP_BUFFERS_MAX);
        return NGX_CONF_ERROR;
    }

    if (buffers->size < 512 || buffers->size > MP_BUFFER_SIZE_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the size of a buffer must be between 512 and %d",
                           MP_BUFFER_SIZE_MAX);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_megapipe_set_buffers(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *rv;

    rv = ngx_conf_set_bufs_slot(cf, cmd, conf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_megapipe_check_buffers(cf, NULL, (char *) conf + cmd->offset);
}
