/* SPDX-License-Identifier: MIT */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include <napi.h>

#include "load.h"

/* A snapshot of a run with so many threads, as loadgen/engine.ts's Snapshot. */
Napi::Object snapshot_object(Napi::Env env, load_run *run, uint32_t threads,
			     const struct load_snapshot &snapshot);

#endif
