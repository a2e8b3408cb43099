// SPDX-License-Identifier: GPL-2.0
/*
 * Commands: what they may say, and how they begin.
 */
#include <linux/nospec.h>
#include <linux/poll.h>
#include <net/sock.h>

#include "channel.h"

/* What a command may say; members that it has no use for are 0. */
struct mp_rule {
	u8 lane;
	u8 no_flags; /* bits that must not be set, and so on */
	bool needs_socket;
	bool needs_check; /* of what it says, for this handle */
	u32 no_len;
	u32 no_arg;
	u64 no_addr;
};

/* uses_*: 1 or 0 */
#define MP_RULE(lane_, flags_, uses_addr, uses_len, uses_arg)       \
	.lane = (lane_), .no_flags = 0xff ^ (flags_),               \
	.no_addr = -1ULL + (uses_addr), .no_len = -1U + (uses_len), \
	.no_arg = -1U + (uses_arg)

#define MP_ACCEPT_FLAGS (MEGAPIPE_F_PEER | MEGAPIPE_F_NOWAIT)

static const struct mp_rule mp_rules[] = {
	[MEGAPIPE_OP_ACCEPT] = { MP_RULE(MP_READING, MP_ACCEPT_FLAGS, 0, 1, 0),
				 .needs_socket = true },
	[MEGAPIPE_OP_READ] = { MP_RULE(MP_READING, MEGAPIPE_F_VECTOR, 1, 1,
				       0) },
	[MEGAPIPE_OP_RECV] = { MP_RULE(MP_READING, 0, 0, 0, 0) },
	[MEGAPIPE_OP_RECVMSG] = { MP_RULE(MP_READING, 0, 1, 0, 1),
				  .needs_socket = true },
	[MEGAPIPE_OP_WRITE] = { MP_RULE(MP_WRITING, MEGAPIPE_F_VECTOR, 1, 1,
					0) },
	[MEGAPIPE_OP_SENDMSG] = { MP_RULE(MP_WRITING, 0, 1, 0, 1),
				  .needs_socket = true },
	[MEGAPIPE_OP_DISCONNECT] = { MP_RULE(MP_WRITING, 0, 0, 0, 1),
				     .needs_socket = true,
				     .needs_check = true },
	[MEGAPIPE_OP_POLL] = { MP_RULE(MP_POLLING, MEGAPIPE_F_NOWAIT, 0, 0, 1),
			       .needs_check = true },
	[MEGAPIPE_OP_CANCEL] = { MP_RULE(0, 0, 0, 0, 1), .needs_check = true },
	[MEGAPIPE_OP_CLOSE] = { MP_RULE(0, MEGAPIPE_F_SILENT, 0, 0, 1),
				.needs_check = true },
	[MEGAPIPE_OP_COOKIE] = { MP_RULE(0, 0, 1, 0, 0) },
	[MEGAPIPE_OP_CONNECT] = { MP_RULE(MP_WRITING, 0, 0, 0, 0),
				  .needs_socket = true },
};

static bool mp_is_well_formed(const struct megapipe_command *cmd,
			      const struct mp_rule *rule)
{
	return !((cmd->addr & rule->no_addr) | (cmd->len & rule->no_len) |
		 (cmd->arg & rule->no_arg) | (cmd->flags & rule->no_flags) |
		 cmd->reserved);
}

static int mp_check(const struct mp_handle *h,
		    const struct megapipe_command *cmd)
{
	const u32 pollable = POLLIN | POLLOUT | POLLRDHUP;
	bool is_file = h->number & MEGAPIPE_HANDLE_FILE;

	switch (cmd->op) {
	case MEGAPIPE_OP_DISCONNECT:
		return cmd->arg > SHUT_RDWR ? -EINVAL : 0;
	case MEGAPIPE_OP_POLL:
		return !cmd->arg || cmd->arg & ~pollable ? -EINVAL : 0;
	case MEGAPIPE_OP_CANCEL:
		return cmd->arg >> MP_LANES ? -EINVAL : 0;
	default: /* MEGAPIPE_OP_CLOSE */
		if ((s32)cmd->arg < -1 || (!is_file && cmd->arg != -1U))
			return -EINVAL;
		return 0;
	}
}

static int mp_check_for_handle(const struct mp_handle *h,
			       const struct megapipe_command *cmd,
			       const struct mp_rule *rule)
{
	if (h->is_closing)
		return -EBADF;
	if (rule->needs_socket && !h->sock)
		return -ENOTSOCK;
	return rule->needs_check ? mp_check(h, cmd) : 0;
}

static void mp_go(struct mp_handle *h, bool at_once)
{
	if (at_once)
		mp_look_at(h);
	else
		mp_todo(h);
}

static void mp_cancel(struct mp_handle *h, u32 lanes)
{
	for (int i = 0; i < MP_LANES; i++)
		if (lanes & 1U << i && h->lanes[i].state != MP_IDLE)
			h->lanes[i].canceled = true;
}

static void mp_begin_cancel(struct mp_handle *h, u32 lanes, bool at_once)
{
	mp_cancel(h, lanes);
	mp_go(h, at_once);
}

static void mp_begin_close(struct mp_handle *h,
			   const struct megapipe_command *cmd, bool at_once)
{
	h->fd = cmd->arg;
	h->is_closing = true;
	if (cmd->flags & MEGAPIPE_F_SILENT) {
		mp_handle_end(h);
		return;
	}
	if (at_once && !h->busy) {
		mp_close(h);
		return;
	}
	mp_cancel(h, -1U);
	mp_go(h, at_once);
}

/* What is no operation that others could be behind. */
static noinline void mp_control(struct mp_handle *h,
				const struct megapipe_command *cmd,
				bool at_once)
{
	if (cmd->op == MEGAPIPE_OP_COOKIE)
		h->cookie = cmd->addr;
	else if (cmd->op == MEGAPIPE_OP_CLOSE)
		mp_begin_close(h, cmd, at_once);
	else
		mp_begin_cancel(h, cmd->arg, at_once);
}

/* Not at_once: others were there first. */
int mp_command(struct mp_channel *ch, const struct megapipe_command *cmd,
	       bool at_once)
{
	const struct mp_rule *rule;
	struct mp_handle *h;
	int ret;

	if (!cmd->op || cmd->op >= ARRAY_SIZE(mp_rules))
		return -EINVAL;
	rule = &mp_rules[array_index_nospec(cmd->op, ARRAY_SIZE(mp_rules))];
	if (!mp_is_well_formed(cmd, rule))
		return -EINVAL;
	h = mp_lookup(ch, cmd->handle);
	if (!h)
		return -EBADF;
	ret = mp_check_for_handle(h, cmd, rule);
	if (ret)
		return ret;
	if (cmd->op < MEGAPIPE_OP_CANCEL || cmd->op == MEGAPIPE_OP_CONNECT)
		return mp_begin(h, cmd, rule->lane, at_once);
	mp_control(h, cmd, at_once);
	return 0;
}
