// SPDX-License-Identifier: MIT
/*
 * A plugin of qemu that counts the instructions of a guest with one CPU,
 * between two marks that a program in the guest executes (mark.h), by task:
 * in user mode, in the kernel, and its system calls.
 *
 *   qemu-system-x86_64 -plugin libcount.so,out=FILE[,profile=on] ...
 *
 * It appends a line of JSON for each pair of marks. Tasks are told apart by
 * what the kernel's context switch loads; "marking" is the task that executed
 * the marks. With profile=on the line also says how many instructions were
 * executed in each block of the guest's code, by the block's address.
 *
 * What an instruction is: each that is executed counts as one, whatever it
 * costs a real CPU. Of string instructions with a repeat prefix the repetitions
 * are counted apart. An instruction that faults counts, with those behind it in
 * its block; they are few where nothing is paged in.
 *
 * Nothing here knows the guest's kernel, but for the two instructions by which
 * Linux switches stacks.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "count-inline.h"
#include "mark.h"

#define TASKS 4096
#define BLOCKS (1 << 20)

struct counts {
	uint64_t user;
	uint64_t kernel;
	uint64_t repeats;
	uint64_t calls;
};

struct task {
	uint64_t address;
	struct counts counts;
};

/* Instructions that are executed together. */
struct block {
	uint64_t address;
	uint64_t size;
	uint64_t marking; /* executions by the task that executes the marks */
	uint64_t others;
};

static const char *out;
static bool profiling;
static struct task tasks[TASKS];
static unsigned int nr_tasks;
static uint64_t current, marking;
static struct block *blocks;
static bool overflown;

/* All that was executed since the current task came, or the window began. */
static struct counts *running(void)
{
	return inline_counters();
}

/* --------------------------------------------------------------- tasks */

static struct task *task_of(uint64_t address)
{
	for (unsigned int i = 0; i < nr_tasks; i++)
		if (tasks[i].address == address)
			return &tasks[i];
	if (nr_tasks == TASKS) {
		overflown = true;
		return &tasks[0];
	}
	tasks[nr_tasks].address = address;
	return &tasks[nr_tasks++];
}

static void charge(uint64_t address)
{
	struct counts *counts = &task_of(address)->counts;
	struct counts *now = running();

	counts->user += now->user;
	counts->kernel += now->kernel;
	counts->repeats += now->repeats;
	counts->calls += now->calls;
	*now = (struct counts){ 0 };
}

/* The kernel loads the next task's stack pointer, from its task_struct. */
static void switched(unsigned int cpu, qemu_plugin_meminfo_t info,
		     uint64_t address, void *offset)
{
	(void)cpu;
	(void)info;
	charge(current);
	current = address - (uintptr_t)offset;
}

/* -------------------------------------------------------------- blocks */

static struct block *block_of(uint64_t address, uint64_t size)
{
	uint64_t hash = (address + size) * 0x9e3779b97f4a7c15u;

	for (unsigned int i = 0; i < BLOCKS; i++) {
		struct block *block = &blocks[(hash + i) % BLOCKS];

		if (!block->address)
			*block = (struct block){ address, size, 0, 0 };
		if (block->address == address && block->size == size)
			return block;
	}
	fputs("count: no room for another block\n", stderr);
	abort();
}

static void executed(unsigned int cpu, void *data)
{
	struct block *block = data;

	(void)cpu;
	if (current == marking)
		block->marking++;
	else
		block->others++;
}

static void begin_blocks(void)
{
	for (unsigned int i = 0; i < BLOCKS; i++)
		blocks[i].marking = blocks[i].others = 0;
}

static void tell_blocks(FILE *to)
{
	const char *separator = "";

	fputs(",\"blocks\":[", to);
	for (unsigned int i = 0; i < BLOCKS; i++) {
		const struct block *b = &blocks[i];

		if (!b->marking && !b->others)
			continue;
		fprintf(to, "%s[\"%" PRIx64 "\",%" PRIu64 ",%" PRIu64 "]",
			separator, b->address, b->size * b->marking,
			b->size * b->others);
		separator = ",";
	}
	fputs("]", to);
}

/* --------------------------------------------------------------- marks */

static void begin(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	*running() = (struct counts){ 0 };
	nr_tasks = 0;
	memset(tasks, 0, sizeof(tasks));
	marking = current;
	if (profiling)
		begin_blocks();
}

static void tell_task(FILE *to, const struct task *task, const char *separator)
{
	const struct counts *n = &task->counts;

	fprintf(to,
		"%s{\"task\":\"%" PRIx64 "\",\"marking\":%s,"
		"\"user\":%" PRIu64 ",\"kernel\":%" PRIu64
		",\"repeats\":%" PRIu64 ",\"calls\":%" PRIu64 "}",
		separator, task->address,
		task->address == marking ? "true" : "false", n->user, n->kernel,
		n->repeats, n->calls);
}

static void end(unsigned int cpu, void *data)
{
	FILE *to = fopen(out, "a");

	(void)cpu;
	(void)data;
	charge(current);
	if (!to) {
		perror(out);
		abort();
	}
	fprintf(to, "{\"overflown\":%s,\"tasks\":[",
		overflown ? "true" : "false");
	for (unsigned int i = 0; i < nr_tasks; i++)
		tell_task(to, &tasks[i], i ? "," : "");
	fputs("]", to);
	if (profiling)
		tell_blocks(to);
	fputs("}\n", to);
	fclose(to);
}

/* --------------------------------------------------------- translation */

static bool is_kernel(uint64_t address)
{
	return address >> 63;
}

/* A string instruction that repeats: prefixes, then one of its opcodes. */
static bool is_repeating(const uint8_t *code, size_t size)
{
	bool repeats = false;
	size_t i = 0;

	for (; i < size - 1; i++) {
		if (code[i] == 0xf2 || code[i] == 0xf3)
			repeats = true;
		else if (code[i] != 0x66 && code[i] != 0x67 &&
			 (code[i] & 0xf0) != 0x40)
			return false;
	}
	return repeats &&
	       ((code[i] & 0xf4) == 0xa4 || code[i] == 0xaa || code[i] == 0xab);
}

static uint32_t read32(const uint8_t *code)
{
	uint32_t value;

	memcpy(&value, code, sizeof(value));
	return value;
}

/* mov %rsp,offset(%rdi), then mov offset(%rsi),%rsp: __switch_to_asm(). */
static void watch_switch(struct qemu_plugin_insn *insn, const uint8_t *code,
			 size_t size)
{
	static const uint8_t save[] = { 0x48, 0x89, 0xa7 };
	static const uint8_t load[] = { 0x48, 0x8b, 0xa6 };
	static uint64_t saved_at;
	static uint32_t saved_to;
	uint64_t address = qemu_plugin_insn_vaddr(insn);

	if (size != 7)
		return;
	if (!memcmp(code, save, sizeof(save))) {
		saved_at = address;
		saved_to = read32(code + 3);
	} else if (!memcmp(code, load, sizeof(load)) &&
		   address == saved_at + 7 && read32(code + 3) == saved_to) {
		/* qemu 7.2 calls for no read that is asked for as a read. */
		qemu_plugin_register_vcpu_mem_cb(insn, switched,
						 QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_RW,
						 (void *)(uintptr_t)saved_to);
	}
}

static void watch_user(struct qemu_plugin_insn *insn, const uint8_t *code,
		       size_t size)
{
	static const uint8_t begins[] = { MARK_BEGIN }, ends[] = { MARK_END };
	static const uint8_t calls[] = { 0x0f, 0x05 };

	if (size == sizeof(calls) && !memcmp(code, calls, size))
		inline_add_insn(insn, offsetof(struct counts, calls), 1);
	if (size == sizeof(begins) && !memcmp(code, begins, size))
		qemu_plugin_register_vcpu_insn_exec_cb(
			insn, begin, QEMU_PLUGIN_CB_NO_REGS, NULL);
	if (size == sizeof(ends) && !memcmp(code, ends, size))
		qemu_plugin_register_vcpu_insn_exec_cb(
			insn, end, QEMU_PLUGIN_CB_NO_REGS, NULL);
}

/*
 * An instruction that repeats is a block of its own after its first time: it
 * jumps to itself.
 */
static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	uint64_t address = qemu_plugin_tb_vaddr(tb);
	size_t n = qemu_plugin_tb_n_insns(tb);
	size_t counted = n;

	(void)id;
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint8_t code[LONGEST_INSN];
		size_t size = insn_code(insn, code);

		if (is_kernel(address))
			watch_switch(insn, code, size);
		else
			watch_user(insn, code, size);
		if (i == 0 && is_repeating(code, size)) {
			counted--;
			inline_add_insn(insn, offsetof(struct counts, repeats),
					1);
		}
	}
	if (!counted)
		return;
	inline_add_tb(tb,
		      is_kernel(address) ? offsetof(struct counts, kernel) :
					   offsetof(struct counts, user),
		      counted);
	if (profiling)
		qemu_plugin_register_vcpu_tb_exec_cb(
			tb, executed, QEMU_PLUGIN_CB_NO_REGS,
			block_of(address, counted));
}

/* ------------------------------------------------------------- install */

static bool take_option(const char *option)
{
	if (!strncmp(option, "out=", 4))
		out = strdup(option + 4);
	else if (!strcmp(option, "profile=on"))
		profiling = true;
	else
		return false;
	return true;
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id,
					   const qemu_info_t *info, int argc,
					   char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (!take_option(argv[i])) {
			fprintf(stderr, "count: no option %s\n", argv[i]);
			return -1;
		}
	}
	if (!out || !info->system_emulation || info->system.smp_vcpus != 1) {
		fputs("count: needs out=FILE, and a machine of one CPU\n",
		      stderr);
		return -1;
	}
	if (!inline_init(sizeof(struct counts)))
		return -1;
	if (profiling)
		blocks = calloc(BLOCKS, sizeof(*blocks));
	if (profiling && !blocks)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
