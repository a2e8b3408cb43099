/* SPDX-License-Identifier: MIT */
/*
 * The load engine for node: class Run. loadgen/engine.ts says what the objects
 * hold.
 */
#include <cstring>
#include <memory>

#include "plan.h"
#include "snapshot.h"

/* As node's own: code is the errno's name, errno its negative number. */
static Napi::Error errno_error(Napi::Env env, int rc)
{
	const char *name = strerrorname_np(-rc);
	Napi::Error error = Napi::Error::New(env, std::strerror(-rc));

	error.Set("code", Napi::String::New(env, name ? name : "UNKNOWN"));
	error.Set("errno", Napi::Number::New(env, rc));
	return error;
}

class Run : public Napi::ObjectWrap<Run>
{
      public:
	static Napi::Function define(Napi::Env env)
	{
		return DefineClass(env, "Run",
				   { InstanceMethod<&Run::snapshot>("snapshot"),
				     InstanceMethod<&Run::stop>("stop"),
				     InstanceMethod<&Run::finish>("finish") });
	}

	/* new Run(plan, notify): loads from now on. */
	explicit Run(const Napi::CallbackInfo &info)
	    : ObjectWrap(info), plan(plan_argument(info)),
	      notify(Napi::ThreadSafeFunction::New(
		      info.Env(), notify_argument(info), "megapipe load", 0, 1))
	{
		int rc = load_start(&plan.plan, on_notice, this, &run);

		if (rc) {
			notify.Release();
			throw errno_error(info.Env(), rc);
		}
	}

	/* Ends a run that nobody holds any more and that wasn't finished. */
	~Run() override
	{
		end();
	}

      private:
	static Napi::Object plan_argument(const Napi::CallbackInfo &info)
	{
		if (!info[0].IsObject())
			throw Napi::TypeError::New(info.Env(),
						   "plan must be an object");
		return info[0].As<Napi::Object>();
	}

	static Napi::Function notify_argument(const Napi::CallbackInfo &info)
	{
		if (!info[1].IsFunction())
			throw Napi::TypeError::New(info.Env(),
						   "notify must be a function");
		return info[1].As<Napi::Function>();
	}

	/* In the engine's threads: calls notify in node's. */
	static void on_notice(void *arg, load_notice notice)
	{
		static const char *const names[] = { "begun", "ended",
						     "finished" };

		static_cast<Run *>(arg)->notify.BlockingCall(
			[name = names[notice]](Napi::Env env,
					       Napi::Function callback) {
				callback.Call({ Napi::String::New(env, name) });
			});
	}

	void check_running(Napi::Env env) const
	{
		if (!run)
			throw Napi::Error::New(env,
					       "this run has been finished");
	}

	Napi::Value snapshot(const Napi::CallbackInfo &info)
	{
		check_running(info.Env());
		load_snapshot(run, latest.get());
		return snapshot_object(info.Env(), run, plan.plan.threads,
				       *latest);
	}

	void stop(const Napi::CallbackInfo &info)
	{
		check_running(info.Env());
		load_stop(run);
	}

	/* The last snapshot; the run is gone. */
	Napi::Value finish(const Napi::CallbackInfo &info)
	{
		Napi::Value last = snapshot(info);

		end();
		return last;
	}

	void end()
	{
		if (!run)
			return;
		load_free(run);
		run = nullptr;
		notify.Release();
	}

	Plan plan;
	Napi::ThreadSafeFunction notify;
	load_run *run = nullptr;
	/* Too large for a stack: it has four histograms. */
	std::unique_ptr<struct load_snapshot> latest =
		std::make_unique<struct load_snapshot>();
};

static Napi::Object init(Napi::Env env, Napi::Object exports)
{
	exports.Set("Run", Run::define(env));
	return exports;
}

NODE_API_MODULE(load, init)
