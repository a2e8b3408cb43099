// SPDX-License-Identifier: MIT
/* See count-inline.h. */
#include <stdlib.h>
#include <string.h>

#include "count-inline.h"

/* qemu looks at it after it has loaded the plugin, and refuses others'
 * versions. */
QEMU_PLUGIN_EXPORT int qemu_plugin_version = 1;

static char *counters;
static struct qemu_plugin_scoreboard *board;

static bool is_old(void)
{
	return qemu_plugin_register_vcpu_insn_exec_inline != NULL;
}

__attribute__((constructor)) static void choose_version(void)
{
	qemu_plugin_version = is_old() ? 1 : 3;
}

bool inline_init(size_t size_of_counters)
{
	if (is_old())
		counters = calloc(1, size_of_counters);
	else
		board = qemu_plugin_scoreboard_new(size_of_counters);
	return counters || board;
}

void *inline_counters(void)
{
	return is_old() ? counters : qemu_plugin_scoreboard_find(board, 0);
}

void inline_add_insn(struct qemu_plugin_insn *insn, size_t offset, uint64_t n)
{
	if (is_old())
		qemu_plugin_register_vcpu_insn_exec_inline(
			insn, QEMU_PLUGIN_INLINE_ADD_U64, counters + offset, n);
	else
		qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
			insn, QEMU_PLUGIN_INLINE_ADD_U64,
			(qemu_plugin_u64){ board, offset }, n);
}

void inline_add_tb(struct qemu_plugin_tb *tb, size_t offset, uint64_t n)
{
	if (is_old())
		qemu_plugin_register_vcpu_tb_exec_inline(
			tb, QEMU_PLUGIN_INLINE_ADD_U64, counters + offset, n);
	else
		qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(
			tb, QEMU_PLUGIN_INLINE_ADD_U64,
			(qemu_plugin_u64){ board, offset }, n);
}

size_t insn_code(const struct qemu_plugin_insn *insn, uint8_t *code)
{
	size_t size = qemu_plugin_insn_size(insn);

	if (!is_old())
		return qemu_plugin_insn_data_3(insn, code, LONGEST_INSN);
	if (size > LONGEST_INSN)
		size = LONGEST_INSN;
	memcpy(code, qemu_plugin_insn_data_1(insn), size);
	return size;
}
