/* SPDX-License-Identifier: MIT */
#include <initializer_list>

#include "snapshot.h"

/* A number for JavaScript: counts are exact up to 2^53. */
struct Member {
	template <typename T>
	Member(const char *name, T value)
	    : name(name), value(static_cast<double>(value))
	{
	}
	const char *name;
	double value;
};

static Napi::Object object(Napi::Env env, std::initializer_list<Member> members)
{
	Napi::Object result = Napi::Object::New(env);

	for (const Member &member : members)
		result.Set(member.name, member.value);
	return result;
}

template <size_t N>
static Napi::Value doubles(Napi::Env env, const uint64_t (&counts)[N])
{
	auto array = Napi::Float64Array::New(env, N);

	for (size_t i = 0; i < N; i++)
		array[i] = static_cast<double>(counts[i]);
	return array;
}

static Napi::Object errors_object(Napi::Env env,
				  const uint64_t (&errors)[LOAD_ERRORS])
{
#define ERROR_MEMBER(number, name) { name, errors[number] },
	return object(env, { LOAD_ERROR_KINDS(ERROR_MEMBER) });
}

static Napi::Object counters_object(Napi::Env env, const load_counters &c)
{
#define COUNTER_MEMBER(member, name) { name, c.member },
	Napi::Object result =
		object(env, { LOAD_PLAIN_COUNTERS(COUNTER_MEMBER) });

	result.Set("answered", doubles(env, c.answered));
	result.Set("items", doubles(env, c.items));
	result.Set("statuses", doubles(env, c.statuses));
	result.Set("errors", errors_object(env, c.errors));
	return result;
}

static Napi::Object stats_object(Napi::Env env, const struct mp_stats &s)
{
	return object(env, { { "requests", s.requests },
			     { "completions", s.completions },
			     { "flushes", s.flushes },
			     { "flushed", s.flushed },
			     { "fetches", s.fetches },
			     { "fetched", s.fetched },
			     { "crossings", s.crossings },
			     { "bufferWaits", s.buffer_waits },
			     { "overflows", s.overflows } });
}

static Napi::Object thread_object(Napi::Env env, const struct load_thread &t)
{
	const double waiting_ns = t.waiting_ns == UINT64_MAX ?
					  -1 :
					  static_cast<double>(t.waiting_ns);

	return object(env, { { "cpu", t.cpu },
			     { "wallNs", t.wall_ns },
			     { "userUs", t.user_us },
			     { "systemUs", t.system_us },
			     { "waitingNs", waiting_ns } });
}

static Napi::Array threads_array(Napi::Env env, load_run *run, uint32_t threads)
{
	auto list = Napi::Array::New(env, threads);

	for (uint32_t i = 0; i < threads; i++) {
		struct load_thread thread;

		load_thread(run, i, &thread);
		list.Set(i, thread_object(env, thread));
	}
	return list;
}

Napi::Object snapshot_object(Napi::Env env, load_run *run, uint32_t threads,
			     const struct load_snapshot &s)
{
	static const char *const phases[] = { "warmup", "measuring",
					      "draining" };
	Napi::Object result = object(env, { { "error", s.error },
					    { "lastError", s.last_error },
					    { "beginNs", s.begin_ns },
					    { "endNs", s.end_ns },
					    { "nowNs", s.now_ns },
					    { "open", s.open } });

	result.Set("phase", s.finished ? "finished" : phases[s.phase]);
	result.Set("engine", s.engine);
	result.Set("complaint", s.complaint);
	for (size_t i = 0; i < LOAD_PHASES; i++)
		result.Set(phases[i], counters_object(env, s.counters[i]));
	result.Set("stats", stats_object(env, s.stats));
	result.Set("threads", threads_array(env, run, threads));
	result.Set("service", doubles(env, s.service));
	result.Set("corrected", doubles(env, s.corrected));
	result.Set("firstByte", doubles(env, s.first_byte));
	result.Set("connect", doubles(env, s.connect));
	return result;
}
