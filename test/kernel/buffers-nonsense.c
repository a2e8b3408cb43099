/* SPDX-License-Identifier: MIT */
/*
 * Whatever the process has in its stack of free buffers, RECV fails, and what
 * there is to be read stays. Only where the stack can't be changed it is lost.
 */
#include "channel.h"
#include "nowhere.h"

#define COUNT 4
#define SIZE 64

static int ch, pair[2];
static uint32_t h;
static struct pool pool;

/* In one call: that may fail as a whole, when the stack can't be changed. */
static int64_t receive(void)
{
	struct megapipe_command command = COMMAND(RECV, h);
	struct megapipe_completion c;
	struct megapipe_run run = {
		.commands = ADDRESS(&command),
		.ncommands = 1,
		.completions = ADDRESS(&c),
		.max = 1,
		.timeout_ns = PATIENCE_NS,
	};
	int r = try_run(ch, &run);

	CHECK_IS(run.done, 1);
	CHECK_IS(run.stored, 1);
	return r < 0 ? r : c.result;
}

/* Fails, with the error, and leaves the stack as it is. */
static void fails(int64_t error)
{
	uint32_t count = pool.stack->count;
	int64_t result = receive();

	if (error)
		CHECK_IS(result, error);
	CHECK(result < 0);
	CHECK_IS(pool.stack->count, count);
}

static void refill(void)
{
	pool.stack->count = 0;
	for (uint32_t i = 0; i < COUNT; i++)
		give_back(&pool, i);
}

static void works(void)
{
	struct megapipe_completion c;

	refill();
	ASK(ch, RECV, h);
	c = COMPLETES(ch, 1, RECV, 4);
	CHECK_BYTES(buffer_at(&pool, c.info), "data", 4);
	CHECK_IS(pool.stack->count, COUNT - 1);
	give_back(&pool, c.info);
}

static void check_counts(void)
{
	static const uint32_t counts[] = { COUNT + 1, 1000, INT32_MAX,
					   UINT32_MAX, 1u << 31 };

	pool.stack->count = 0;
	fails(-ENOBUFS);
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		pool.stack->count = counts[i];
		fails(0);
	}
}

static void check_numbers(void)
{
	static const uint32_t numbers[] = { COUNT, COUNT + 1, 1u << 20,
					    INT32_MAX, UINT32_MAX };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		refill();
		pool.stack->numbers[COUNT - 1] = numbers[i];
		fails(0);
	}
}

static struct pool pages(void)
{
	struct pool p = { .count = COUNT, .size = SIZE };
	struct megapipe_buffers buffers = { 0, 0, COUNT, SIZE, SIZE, 0 };

	p.memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	p.stack = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p.memory != MAP_FAILED && p.stack != MAP_FAILED);
	buffers.memory = ADDRESS(p.memory);
	buffers.free = ADDRESS(p.stack);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_BUFFERS, &buffers), 0);
	return p;
}

static void check_memory(void)
{
	refill();
	SYS(mprotect(pool.memory, 4096, PROT_READ));
	fails(-EFAULT);
	SYS(mprotect(pool.memory, 4096, PROT_READ | PROT_WRITE));
	works();
	send_all(pair[1], "lost", 4);
	SYS(mprotect(pool.stack, 4096, PROT_READ));
	fails(-EFAULT);
	send_all(pair[1], "data", 4);
	SYS(munmap(pool.stack, 4096));
	CHECK_IS(receive(), -EFAULT);
	SYS(munmap(pool.memory, 4096));
	CHECK_IS(receive(), -EFAULT);
}

void test(void)
{
	char text[4];

	ch = new_channel();
	unix_pair(pair, SOCK_STREAM);
	h = add(ch, pair[0], 1);
	send_all(pair[1], "data", 4);
	CHECK_IS(receive(), -ENOBUFS); /* there are none yet */
	pool = pages();
	check_counts();
	check_numbers();
	check_memory();
	CHECK_IS(OUTCOME(ch, READ, h, BYTES(text, 4)), 4);
	CHECK_BYTES(text, "data", 4);
	SYS(close(ch));
}
