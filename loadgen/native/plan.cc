/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

#include "plan.h"

Plan::Plan(Napi::Object object) : env(object.Env())
{
	const Members from(object, "plan");

	protocol = from.string("protocol");
	engine = from.string("engine");
	plan.protocol = protocol.c_str();
	plan.engine = engine.c_str();
	read_numbers(from);
	read_connections(from);
	read_requests(from);
	read_answers(from);
	read_address(from);
}

void Plan::read_numbers(const Members &from)
{
	plan.batch = from.number<uint32_t>("batch");
	plan.threads = from.number<uint32_t>("threads");
	plan.concurrency = from.number<uint32_t>("concurrency");
	plan.pipeline = from.number<uint32_t>("pipeline");
	plan.multiget = from.number<uint32_t>("multiget");
	plan.timeout_ns = from.number<uint64_t>("timeoutNs");
	plan.warmup_ns = from.number<uint64_t>("warmupNs");
	plan.duration_ns = from.number<uint64_t>("durationNs");
	plan.requests = from.number<uint64_t>("requests");
	plan.request_size = from.number<uint32_t>("requestSize");
	plan.answer_size = from.number<uint32_t>("answerSize");
	plan.reset_close = from.boolean("resetClose");
	plan.announce_close = from.optional_boolean("announceClose");
	plan.once = from.optional_boolean("once");
	plan.verify = from.boolean("verify");
	if (!plan.threads)
		throw Napi::RangeError::New(env,
					    "plan.threads must be at least 1");
}

/* What connections there are, and when their requests are sent. */
void Plan::read_connections(const Members &from)
{
	const auto cpus = from.array<uint32_t>("cpus", kept);
	const auto limits = from.array<uint32_t>("limits", kept);
	const auto starts = from.optional_array<uint32_t>("starts", kept);
	const auto gaps = from.array<double>("gapsNs", kept);

	if (cpus.size != plan.threads)
		throw Napi::RangeError::New(
			env, "plan.cpus must have a CPU for each thread");
	if (gaps.size % plan.threads)
		throw Napi::RangeError::New(
			env, "plan.gapsNs must have as many for each thread");
	plan.cpus = cpus.data;
	plan.limits = limits.data;
	plan.n_limits = limits.size;
	plan.starts = starts.data;
	plan.n_starts = starts.size;
	plan.gaps_ns = gaps.data;
	plan.n_gaps = gaps.size / plan.threads;
}

/* What is sent. */
void Plan::read_requests(const Members &from)
{
	const auto sequences = from.array<uint32_t>("sequences", kept);
	const auto keys = from.array<uint8_t>("keys", kept);
	const auto offsets = from.array<uint32_t>("keyOffsets", kept);
	const auto body = from.optional_array<uint8_t>("body", kept);

	if (sequences.size % plan.threads)
		throw Napi::RangeError::New(
			env,
			"plan.sequences must have as many for each thread");
	if (offsets.size < 2 || offsets.data[offsets.size - 1] != keys.size)
		throw Napi::RangeError::New(
			env, "plan.keyOffsets must end where plan.keys ends");
	plan.sequences = sequences.data;
	plan.sequence_len = sequences.size / plan.threads;
	plan.keys = keys.data;
	plan.key_offsets = offsets.data;
	plan.n_items = offsets.size - 1;
	plan.body = body.data;
	plan.body_len = body.size;
}

/* What must come back; which of it there is depends on the protocol. */
void Plan::read_answers(const Members &from)
{
	const auto pattern = from.array<uint8_t>("pattern", kept);
	const auto sizes = from.optional_array<uint32_t>("valueSizes", kept);
	const auto answers = from.optional_array<uint32_t>("answers", kept);
	const bool http = protocol == "http", echo = protocol == "echo";

	static_assert(sizeof(load_answer) == 3 * sizeof(uint32_t),
		      "an answer is three numbers");
	if (http && answers.size != 3 * size_t{ plan.n_items })
		throw Napi::RangeError::New(
			env, "plan.answers must have three numbers an item");
	if (!http && !echo && sizes.size != plan.n_items)
		throw Napi::RangeError::New(
			env, "plan.valueSizes must have one number an item");
	plan.pattern = pattern.data;
	plan.pattern_len = pattern.size;
	plan.value_sizes = sizes.data;
	plan.answers = reinterpret_cast<const load_answer *>(answers.data);
}

void Plan::read_address(const Members &from)
{
	if (from.has("path"))
		unix_address(from.string("path"));
	else
		internet_address(from.string("host"),
				 from.number<uint16_t>("port"));
}

void Plan::unix_address(const std::string &path)
{
	auto un = reinterpret_cast<sockaddr_un *>(&plan.address);

	if (path.empty() || path.size() >= sizeof(un->sun_path))
		throw Napi::RangeError::New(
			env, "plan.path must have from 1 to " +
				     std::to_string(sizeof(un->sun_path) - 1) +
				     " bytes");
	un->sun_family = AF_UNIX;
	std::strcpy(un->sun_path, path.c_str());
	plan.address_len = static_cast<socklen_t>(
		offsetof(sockaddr_un, sun_path) + path.size() + 1);
}

void Plan::internet_address(const std::string &host, uint16_t port)
{
	auto in = reinterpret_cast<sockaddr_in *>(&plan.address);
	auto in6 = reinterpret_cast<sockaddr_in6 *>(&plan.address);

	if (inet_pton(AF_INET, host.c_str(), &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		plan.address_len = sizeof(*in);
		return;
	}
	if (inet_pton(AF_INET6, host.c_str(), &in6->sin6_addr) != 1)
		throw Napi::RangeError::New(
			env,
			"plan.host must be an address, not \"" + host + "\"");
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	plan.address_len = sizeof(*in6);
}
