/* SPDX-License-Identifier: MIT */
/* What qemu's interface for plugins has in two forms, by its version. */
#ifndef COUNT_INLINE_H
#define COUNT_INLINE_H

#include "qemu-plugin.h"

#define LONGEST_INSN 15

/* Before anything is counted: false without memory. */
bool inline_init(size_t size_of_counters);

/* The counters of the one CPU: so many bytes. Only while it is there. */
void *inline_counters(void);

/* Add to the counter at an offset when something is executed. */
void inline_add_insn(struct qemu_plugin_insn *insn, size_t offset, uint64_t n);
void inline_add_tb(struct qemu_plugin_tb *tb, size_t offset, uint64_t n);

/* An instruction's bytes, LONGEST_INSN at most; returns how many. */
size_t insn_code(const struct qemu_plugin_insn *insn, uint8_t *code);

#endif
