/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "channel.h"

/* ------------------------------------------------------------- channels */

int open_device(void)
{
	return SYS(open(MEGAPIPE_DEVICE, O_RDWR | O_CLOEXEC));
}

int try_ioctl(int ch, unsigned long request, void *arg)
{
	return TRY_SYS(ioctl(ch, request, arg));
}

int try_setup(int ch, uint32_t lwsockets)
{
	struct megapipe_setup setup = {
		.version = MEGAPIPE_ABI_VERSION,
		.max_lwsockets = lwsockets,
	};

	return try_ioctl(ch, MEGAPIPE_IOC_SETUP, &setup);
}

int make_channel_of(uint32_t lwsockets)
{
	int ch = open_device();

	CHECK_IS(try_setup(ch, lwsockets), 0);
	return ch;
}

int new_channel(void)
{
	return make_channel_of(LWSOCKETS);
}

uint32_t features(void)
{
	struct megapipe_info info;
	int fd = open_device();

	CHECK_IS(try_ioctl(fd, MEGAPIPE_IOC_INFO, &info), 0);
	SYS(close(fd));
	return info.features;
}

struct megapipe_stats stats_now(int ch)
{
	struct megapipe_stats stats;

	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_STATS, &stats), 0);
	return stats;
}

int try_add(int ch, int fd, uint64_t cookie, uint32_t *handle)
{
	struct megapipe_register reg = { .fd = fd, .cookie = cookie };
	int r = try_ioctl(ch, MEGAPIPE_IOC_REGISTER, &reg);

	*handle = reg.handle;
	return r;
}

uint32_t add(int ch, int fd, uint64_t cookie)
{
	uint32_t handle;

	CHECK_IS(try_add(ch, fd, cookie, &handle), 0);
	return handle;
}

struct pool give_buffers(int ch, uint32_t count, uint32_t size)
{
	struct pool pool = { .count = count, .size = size };
	struct megapipe_buffers buffers = {
		.count = count,
		.size = size,
		.stride = size,
	};

	pool.memory = calloc(count, size);
	pool.stack = calloc(count + 1, sizeof(uint32_t));
	CHECK(pool.memory && pool.stack);
	for (uint32_t i = 0; i < count; i++)
		give_back(&pool, i);
	buffers.memory = ADDRESS(pool.memory);
	buffers.free = ADDRESS(pool.stack);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_BUFFERS, &buffers), 0);
	return pool;
}

char *buffer_at(const struct pool *pool, uint32_t number)
{
	CHECK(number < pool->count);
	return pool->memory + (size_t)number * pool->size;
}

void give_back(struct pool *pool, uint32_t number)
{
	pool->stack->numbers[pool->stack->count++] = number;
}

/* ------------------------------------------------- commands, completions */

int try_run(int ch, struct megapipe_run *run)
{
	return try_ioctl(ch, MEGAPIPE_IOC_RUN, run);
}

int try_command(int ch, struct megapipe_command command)
{
	struct megapipe_run run = {
		.commands = ADDRESS(&command),
		.ncommands = 1,
	};
	int r = try_run(ch, &run);

	CHECK_IS(run.stored, 0);
	if (run.done != (r == 0))
		fail(__FILE__, __LINE__, "op %d: %s, but done is %u",
		     command.op, strerror(-r), run.done);
	return r;
}

static int try_next(int ch, struct megapipe_completion *completion,
		    int64_t timeout_ns)
{
	struct megapipe_run run = {
		.completions = ADDRESS(completion),
		.max = 1,
		.timeout_ns = timeout_ns,
	};
	int r = try_run(ch, &run);

	CHECK_IS(run.done, 0);
	CHECK_IS(run.stored, r == 0);
	return r;
}

struct megapipe_completion next_at(const char *file, int line, int ch)
{
	struct megapipe_completion c;
	int r = try_next(ch, &c, PATIENCE_NS);

	if (r != 0)
		fail(file, line, "no completion comes: %s", strerror(-r));
	return c;
}

struct megapipe_completion completes_at(const char *file, int line, int ch,
					uint64_t cookie, int op, int64_t result)
{
	struct megapipe_completion c = next_at(file, line, ch);

	if (c.cookie != cookie || c.op != op || c.result != result)
		fail(file, line,
		     "completion is of %llu, op %d: %lld, not of %llu, op %d: %lld",
		     (unsigned long long)c.cookie, c.op, (long long)c.result,
		     (unsigned long long)cookie, op, (long long)result);
	return c;
}

int64_t outcome_at(const char *file, int line, int ch,
		   struct megapipe_command command)
{
	int r = try_command(ch, command);

	return r < 0 ? r : next_at(file, line, ch).result;
}

void quiet_at(const char *file, int line, int ch)
{
	struct megapipe_completion c;
	int r = try_next(ch, &c, QUIET_NS);

	if (r == 0)
		fail(file, line, "unexpected completion of %llu, op %d: %lld",
		     (unsigned long long)c.cookie, c.op, (long long)c.result);
	if (r != -ETIME)
		fail(file, line, "waiting: %s", strerror(-r));
}

void drop(int ch, uint32_t handle)
{
	ASK(ch, CLOSE, handle, .arg = -1, .flags = MEGAPIPE_F_SILENT);
}

void check_usable(int ch)
{
	int pair[2];
	uint32_t h;

	STAYS_QUIET(ch);
	unix_pair(pair, SOCK_STREAM);
	h = add(ch, pair[0], 0x5afe);
	check_echo(ch, h, 0x5afe, pair[1]);
	drop(ch, h);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

/* -------------------------------------------------------------- sockets */

uint32_t accept_lwsocket(int ch, int listener, int *client, uint64_t cookie)
{
	uint32_t h = add(ch, listener, 0xacce), accepted;

	*client = connect_to(listener);
	ASK(ch, ACCEPT, h, .len = 1);
	accepted = NEXT_OF(ch).result;
	drop(ch, h);
	ASK(ch, COOKIE, accepted, .addr = cookie);
	return accepted;
}

int try_socket_call(int ch, uint32_t handle, int call, int level, int name,
		    void *value, uint32_t *len)
{
	struct megapipe_socket s = {
		.handle = handle,
		.call = call,
		.level = level,
		.name = name,
		.value = ADDRESS(value),
		.len = *len,
	};
	int r = try_ioctl(ch, MEGAPIPE_IOC_SOCKET, &s);

	*len = s.len;
	return r;
}

void set_option(int ch, uint32_t handle, int level, int name, int value)
{
	uint32_t len = sizeof(value);

	CHECK_IS(try_socket_call(ch, handle, MEGAPIPE_SETSOCKOPT, level, name,
				 &value, &len),
		 0);
}

int get_option(int ch, uint32_t handle, int level, int name)
{
	int value = -1;
	uint32_t len = sizeof(value);

	CHECK_IS(try_socket_call(ch, handle, MEGAPIPE_GETSOCKOPT, level, name,
				 &value, &len),
		 0);
	CHECK_IS(len, sizeof(value));
	return value;
}

void check_echo(int ch, uint32_t handle, uint64_t cookie, int peer)
{
	char text[16];

	ASK(ch, READ, handle, BYTES(text, sizeof(text)));
	send_all(peer, "ping", 4);
	COMPLETES(ch, cookie, READ, 4);
	CHECK_BYTES(text, "ping", 4);
	ASK(ch, WRITE, handle, BYTES("pong!", 5));
	COMPLETES(ch, cookie, WRITE, 5);
	receive_all(peer, text, 5);
	CHECK_BYTES(text, "pong!", 5);
}
