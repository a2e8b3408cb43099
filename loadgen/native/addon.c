/* SPDX-License-Identifier: MIT */
/*
 * The load engine for node: start(plan, notify), snapshot(run), stop(run),
 * finish(run). loadgen/engine.ts says what the objects hold.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define NAPI_VERSION 8
#include <node_api.h>

#include "load.h"

/* Memory of the plan that belongs to node, and is kept for it. */
enum { BUFFERS_MAX = 12 };

struct addon_run {
	struct load_run *run;
	napi_threadsafe_function notify;
	napi_ref buffers[BUFFERS_MAX];
	uint32_t n_buffers;
	struct load_plan plan;
	char protocol[32];
	char engine[16];
	struct load_snapshot snapshot;
};

/* ------------------------------------------------ reading the plan object */

static napi_value member(napi_env env, napi_value object, const char *name)
{
	napi_value value = NULL;

	napi_get_named_property(env, object, name, &value);
	return value;
}

static double number(napi_env env, napi_value plan, const char *name)
{
	double n = 0;

	napi_get_value_double(env, member(env, plan, name), &n);
	return n;
}

static bool boolean(napi_env env, napi_value plan, const char *name)
{
	bool value = false;

	napi_get_value_bool(env, member(env, plan, name), &value);
	return value;
}

static void string(napi_env env, napi_value plan, const char *name, char *buf,
		   size_t size)
{
	napi_get_value_string_utf8(env, member(env, plan, name), buf, size,
				   NULL);
}

/* A typed array's memory, kept while the run lives; NULL: it is another type.
 */
static const void *array(napi_env env, struct addon_run *a, napi_value plan,
			 const char *name, napi_typedarray_type wanted,
			 uint32_t *len)
{
	napi_value value = member(env, plan, name);
	napi_typedarray_type type;
	void *data = NULL;
	size_t n = 0;

	*len = 0;
	if (napi_get_typedarray_info(env, value, &type, &n, &data, NULL,
				     NULL) != napi_ok ||
	    type != wanted || n > UINT32_MAX || a->n_buffers == BUFFERS_MAX)
		return NULL;
	napi_create_reference(env, value, 1, &a->buffers[a->n_buffers++]);
	*len = (uint32_t)n;
	return data;
}

static int unix_address(struct load_plan *plan, const char *path)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&plan->address;

	if (strlen(path) >= sizeof(un->sun_path))
		return -ENAMETOOLONG;
	un->sun_family = AF_UNIX;
	strcpy(un->sun_path, path);
	plan->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
					strlen(path) + 1);
	return 0;
}

static int internet_address(struct load_plan *plan, const char *host,
			    uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&plan->address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&plan->address;

	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		plan->address_len = sizeof(*in);
		return 0;
	}
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
		return -EINVAL;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	plan->address_len = sizeof(*in6);
	return 0;
}

static int read_address(napi_env env, napi_value object, struct load_plan *plan)
{
	char path[256] = "", host[64] = "";

	string(env, object, "path", path, sizeof(path));
	if (*path)
		return unix_address(plan, path);
	string(env, object, "host", host, sizeof(host));
	return internet_address(plan, host,
				(uint16_t)number(env, object, "port"));
}

static void read_numbers(napi_env env, napi_value object,
			 struct load_plan *plan)
{
	plan->batch = (uint32_t)number(env, object, "batch");
	plan->threads = (uint32_t)number(env, object, "threads");
	plan->concurrency = (uint32_t)number(env, object, "concurrency");
	plan->pipeline = (uint32_t)number(env, object, "pipeline");
	plan->multiget = (uint32_t)number(env, object, "multiget");
	plan->timeout_ns = (uint64_t)number(env, object, "timeoutNs");
	plan->warmup_ns = (uint64_t)number(env, object, "warmupNs");
	plan->duration_ns = (uint64_t)number(env, object, "durationNs");
	plan->requests = (uint64_t)number(env, object, "requests");
	plan->request_size = (uint32_t)number(env, object, "requestSize");
	plan->answer_size = (uint32_t)number(env, object, "answerSize");
	plan->reset_close = boolean(env, object, "resetClose");
	plan->announce_close = boolean(env, object, "announceClose");
	plan->once = boolean(env, object, "once");
	plan->verify = boolean(env, object, "verify");
}

/* What belongs to one protocol alone, and may be missing. */
static int read_items(napi_env env, struct addon_run *a, napi_value o)
{
	struct load_plan *plan = &a->plan;
	uint32_t sizes, answers;

	plan->value_sizes =
		array(env, a, o, "valueSizes", napi_uint32_array, &sizes);
	plan->pattern = array(env, a, o, "pattern", napi_uint8_array,
			      &plan->pattern_len);
	plan->answers =
		array(env, a, o, "answers", napi_uint32_array, &answers);
	plan->body =
		array(env, a, o, "body", napi_uint8_array, &plan->body_len);
	_Static_assert(sizeof(struct load_answer) == 3 * sizeof(uint32_t),
		       "an answer is three numbers");
	if (!strcmp(a->protocol, "http"))
		return answers == 3 * (size_t)plan->n_items ? 0 : -EINVAL;
	if (!strcmp(a->protocol, "echo"))
		return 0;
	return sizes == plan->n_items ? 0 : -EINVAL;
}

static int read_arrays(napi_env env, struct addon_run *a, napi_value o)
{
	struct load_plan *plan = &a->plan;
	uint32_t cpus, sequences, keys, offsets, gaps;

	plan->cpus = array(env, a, o, "cpus", napi_uint32_array, &cpus);
	plan->limits =
		array(env, a, o, "limits", napi_uint32_array, &plan->n_limits);
	plan->starts =
		array(env, a, o, "starts", napi_uint32_array, &plan->n_starts);
	plan->gaps_ns = array(env, a, o, "gapsNs", napi_float64_array, &gaps);
	plan->sequences =
		array(env, a, o, "sequences", napi_uint32_array, &sequences);
	plan->keys = array(env, a, o, "keys", napi_uint8_array, &keys);
	plan->key_offsets =
		array(env, a, o, "keyOffsets", napi_uint32_array, &offsets);
	if (!plan->threads || cpus != plan->threads ||
	    sequences % plan->threads || gaps % plan->threads || offsets < 2 ||
	    plan->key_offsets[offsets - 1] != keys)
		return -EINVAL;
	plan->sequence_len = sequences / plan->threads;
	plan->n_gaps = gaps / plan->threads;
	plan->n_items = offsets - 1;
	return read_items(env, a, o);
}

static int read_plan(napi_env env, struct addon_run *a, napi_value object)
{
	struct load_plan *plan = &a->plan;
	int rc;

	string(env, object, "protocol", a->protocol, sizeof(a->protocol));
	string(env, object, "engine", a->engine, sizeof(a->engine));
	plan->protocol = a->protocol;
	plan->engine = a->engine;
	read_numbers(env, object, plan);
	rc = read_arrays(env, a, object);
	return rc ? rc : read_address(env, object, plan);
}

/* -------------------------------------------------- writing the snapshot */

static void set(napi_env env, napi_value object, const char *name,
		napi_value value)
{
	napi_set_named_property(env, object, name, value);
}

static void set_number(napi_env env, napi_value object, const char *name,
		       double n)
{
	napi_value value;

	napi_create_double(env, n, &value);
	set(env, object, name, value);
}

static void set_string(napi_env env, napi_value object, const char *name,
		       const char *text)
{
	napi_value value;

	napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
	set(env, object, name, value);
}

/* Counts as doubles: exact up to 2^53. */
static napi_value doubles(napi_env env, const uint64_t *counts, size_t n)
{
	napi_value buffer, value;
	void *data;

	napi_create_arraybuffer(env, n * sizeof(double), &data, &buffer);
	for (size_t i = 0; i < n; i++)
		((double *)data)[i] = (double)counts[i];
	napi_create_typedarray(env, napi_float64_array, n, buffer, 0, &value);
	return value;
}

#define FIELD(type, name, js)                   \
	{                                       \
		js, offsetof(struct type, name) \
	}
struct field {
	const char *name;
	size_t offset;
};

static const struct field counter_fields[] = {
	FIELD(load_counters, sent, "sent"),
	FIELD(load_counters, failed, "failed"),
	FIELD(load_counters, unsent, "unsent"),
	FIELD(load_counters, hits, "hits"),
	FIELD(load_counters, misses, "misses"),
	FIELD(load_counters, verified, "verified"),
	FIELD(load_counters, bytes_sent, "bytesSent"),
	FIELD(load_counters, bytes_received, "bytesReceived"),
	FIELD(load_counters, body_bytes, "bodyBytes"),
	FIELD(load_counters, connections, "connections"),
};

static const struct field error_fields[] = {
	{ "connect", LOAD_CONNECT },
	{ "portExhaustion", LOAD_PORTS },
	{ "refused", LOAD_REFUSED },
	{ "reset", LOAD_RESET },
	{ "closed", LOAD_CLOSED },
	{ "timeout", LOAD_TIMEOUT },
	{ "protocol", LOAD_PROTOCOL },
	{ "server", LOAD_SERVER },
	{ "verification", LOAD_VERIFICATION },
	{ "other", LOAD_OTHER },
};

static const struct field stats_fields[] = {
	FIELD(mp_stats, requests, "requests"),
	FIELD(mp_stats, completions, "completions"),
	FIELD(mp_stats, flushes, "flushes"),
	FIELD(mp_stats, flushed, "flushed"),
	FIELD(mp_stats, fetches, "fetches"),
	FIELD(mp_stats, fetched, "fetched"),
	FIELD(mp_stats, crossings, "crossings"),
	FIELD(mp_stats, buffer_waits, "bufferWaits"),
	FIELD(mp_stats, overflows, "overflows"),
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static napi_value fields(napi_env env, const void *from,
			 const struct field *field, size_t n)
{
	napi_value object;

	napi_create_object(env, &object);
	for (size_t i = 0; i < n; i++) {
		uint64_t value;

		memcpy(&value, (const char *)from + field[i].offset,
		       sizeof(value));
		set_number(env, object, field[i].name, (double)value);
	}
	return object;
}

static napi_value counters(napi_env env, const struct load_counters *c)
{
	napi_value object = fields(env, c, counter_fields,
				   COUNT(counter_fields)),
		   errors;

	set(env, object, "answered", doubles(env, c->answered, LOAD_KINDS));
	set(env, object, "items", doubles(env, c->items, LOAD_KINDS));
	set(env, object, "statuses", doubles(env, c->statuses, LOAD_STATUSES));
	napi_create_object(env, &errors);
	for (size_t i = 0; i < COUNT(error_fields); i++)
		set_number(env, errors, error_fields[i].name,
			   (double)c->errors[error_fields[i].offset]);
	set(env, object, "errors", errors);
	return object;
}

static napi_value threads(napi_env env, struct addon_run *a)
{
	napi_value list;

	napi_create_array(env, &list);
	for (uint32_t i = 0; i < a->plan.threads; i++) {
		struct load_thread thread;
		napi_value object;

		load_thread(a->run, i, &thread);
		napi_create_object(env, &object);
		set_number(env, object, "cpu", thread.cpu);
		set_number(env, object, "wallNs", (double)thread.wall_ns);
		set_number(env, object, "userUs", (double)thread.user_us);
		set_number(env, object, "systemUs", (double)thread.system_us);
		set_number(env, object, "waitingNs",
			   thread.waiting_ns == UINT64_MAX ?
				   -1 :
				   (double)thread.waiting_ns);
		napi_set_element(env, list, i, object);
	}
	return list;
}

static const char *const phase_names[] = { "warmup", "measuring", "draining" };

static napi_value snapshot_object(napi_env env, struct addon_run *a)
{
	const struct load_snapshot *s = &a->snapshot;
	napi_value object;

	napi_create_object(env, &object);
	set_string(env, object, "phase",
		   s->finished ? "finished" : phase_names[s->phase]);
	set_string(env, object, "engine", s->engine);
	set_string(env, object, "complaint", s->complaint);
	set_number(env, object, "error", s->error);
	set_number(env, object, "lastError", s->last_error);
	set_number(env, object, "beginNs", (double)s->begin_ns);
	set_number(env, object, "endNs", (double)s->end_ns);
	set_number(env, object, "nowNs", (double)s->now_ns);
	set_number(env, object, "open", s->open);
	for (size_t i = 0; i < LOAD_PHASES; i++)
		set(env, object, phase_names[i],
		    counters(env, &s->counters[i]));
	set(env, object, "stats",
	    fields(env, &s->stats, stats_fields, COUNT(stats_fields)));
	set(env, object, "threads", threads(env, a));
	set(env, object, "service", doubles(env, s->service, HISTOGRAM_COUNTS));
	set(env, object, "corrected",
	    doubles(env, s->corrected, HISTOGRAM_COUNTS));
	set(env, object, "firstByte",
	    doubles(env, s->first_byte, HISTOGRAM_COUNTS));
	set(env, object, "connect", doubles(env, s->connect, HISTOGRAM_COUNTS));
	return object;
}

/* ------------------------------------------------------------- the calls */

/* In node's thread: notify("begun" | "ended" | "finished"). */
static void deliver(napi_env env, napi_value callback, void *context,
		    void *data)
{
	static const char *const names[] = { "begun", "ended", "finished" };
	napi_value undefined, name;

	(void)context;
	if (!env)
		return;
	napi_get_undefined(env, &undefined);
	napi_create_string_utf8(env, names[(intptr_t)data], NAPI_AUTO_LENGTH,
				&name);
	napi_call_function(env, undefined, callback, 1, &name, NULL);
}

static void on_notice(void *arg, enum load_notice notice)
{
	struct addon_run *a = arg;

	napi_call_threadsafe_function(a->notify, (void *)(intptr_t)notice,
				      napi_tsfn_blocking);
}

/* The plan's memory is node's again. */
static void release(napi_env env, struct addon_run *a)
{
	for (uint32_t i = 0; i < a->n_buffers; i++)
		napi_delete_reference(env, a->buffers[i]);
	a->n_buffers = 0;
	if (a->notify)
		napi_release_threadsafe_function(a->notify, napi_tsfn_release);
	a->notify = NULL;
}

/* Nobody holds the run any more. One that wasn't finished is ended here. */
static void collect(napi_env env, void *data, void *hint)
{
	struct addon_run *a = data;

	(void)hint;
	if (a->run)
		load_free(a->run);
	release(env, a);
	free(a);
}

/* An error with the errno's name and number, as node's own have. */
static napi_value throw_errno(napi_env env, int rc)
{
	char code[16];

	snprintf(code, sizeof(code), "%d", rc);
	napi_throw_error(env, code, strerror(-rc));
	return NULL;
}

static napi_value start(napi_env env, napi_callback_info info)
{
	struct addon_run *a = calloc(1, sizeof(*a));
	napi_value args[2], name, external;
	size_t n = 2;
	int rc;

	if (!a)
		return throw_errno(env, -ENOMEM);
	napi_get_cb_info(env, info, &n, args, NULL, NULL);
	napi_create_string_utf8(env, "megapipe load", NAPI_AUTO_LENGTH, &name);
	if (n != 2 || napi_create_threadsafe_function(
			      env, args[1], NULL, name, 0, 1, NULL, NULL, NULL,
			      deliver, &a->notify) != napi_ok)
		rc = -EINVAL;
	else
		rc = read_plan(env, a, args[0]);
	if (!rc)
		rc = load_start(&a->plan, on_notice, a, &a->run);
	if (rc) {
		collect(env, a, NULL);
		return throw_errno(env, rc);
	}
	napi_create_external(env, a, collect, NULL, &external);
	return external;
}

/* The run that was passed; NULL, and thrown: it is none, or was finished. */
static struct addon_run *run_argument(napi_env env, napi_callback_info info)
{
	napi_value value;
	size_t n = 1;
	void *data = NULL;

	napi_get_cb_info(env, info, &n, &value, NULL, NULL);
	if (n == 1 && napi_get_value_external(env, value, &data) == napi_ok &&
	    ((struct addon_run *)data)->run)
		return data;
	throw_errno(env, -EINVAL);
	return NULL;
}

static napi_value snapshot(napi_env env, napi_callback_info info)
{
	struct addon_run *a = run_argument(env, info);

	if (!a)
		return NULL;
	load_snapshot(a->run, &a->snapshot);
	return snapshot_object(env, a);
}

static napi_value stop(napi_env env, napi_callback_info info)
{
	struct addon_run *a = run_argument(env, info);

	if (a)
		load_stop(a->run);
	return NULL;
}

/* The last snapshot; the run is gone. */
static napi_value finish(napi_env env, napi_callback_info info)
{
	struct addon_run *a = run_argument(env, info);
	napi_value last;

	if (!a)
		return NULL;
	load_snapshot(a->run, &a->snapshot);
	last = snapshot_object(env, a);
	load_free(a->run);
	a->run = NULL;
	release(env, a);
	return last;
}

NAPI_MODULE_INIT()
{
	static const struct {
		const char *name;
		napi_callback call;
	} calls[] = { { "start", start },
		      { "snapshot", snapshot },
		      { "stop", stop },
		      { "finish", finish } };

	for (size_t i = 0; i < COUNT(calls); i++) {
		napi_value function;

		napi_create_function(env, calls[i].name, NAPI_AUTO_LENGTH,
				     calls[i].call, NULL, &function);
		set(env, exports, calls[i].name, function);
	}
	return exports;
}
