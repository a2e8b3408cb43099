/* SPDX-License-Identifier: MIT */
/* A load_plan out of an object of loadgen/engine.ts's type Plan. */
#ifndef PLAN_H
#define PLAN_H

#include <string>
#include <vector>

#include <napi.h>

#include "load.h"
#include "members.h"

/* The plan, and all that its pointers point to. */
class Plan
{
      public:
	/* Throws an error that names the member that is wrong. */
	explicit Plan(Napi::Object object);
	Plan(const Plan &) = delete;
	Plan &operator=(const Plan &) = delete;

	load_plan plan{};

      private:
	void read_numbers(const Members &from);
	void read_connections(const Members &from);
	void read_requests(const Members &from);
	void read_answers(const Members &from);
	void read_address(const Members &from);
	void unix_address(const std::string &path);
	void internet_address(const std::string &host, uint16_t port);

	Napi::Env env;
	std::string protocol, engine;
	std::vector<Napi::ObjectReference> kept;
};

#endif
