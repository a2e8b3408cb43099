// SPDX-License-Identifier: GPL-2.0
/*
 * Commands: what they may say, and how they begin.
 */
#include <linux/nospec.h>
#include <linux/poll.h>
#include <net/sock.h>

#include "channel.h"

#define MP_ADDR BIT(0)
#define MP_LEN BIT(1)
#define MP_ARG BIT(2)

/* What a command may say; members that it has no use for are 0. */
struct mp_rule {
	u8 lane;
	u8 uses;
	u8 flags;
	bool needs_socket;
	bool needs_check; /* of what it says, for this handle */
};

#define MP_TRANSFER_FLAGS (MEGAPIPE_F_VECTOR | MEGAPIPE_F_AT)
#define MP_ACCEPT_FLAGS \
	(MEGAPIPE_F_LWSOCKET | MEGAPIPE_F_PEER | MEGAPIPE_F_NOWAIT)

static const struct mp_rule mp_rules[] = {
	[MEGAPIPE_OP_ACCEPT] = { MP_READING, MP_LEN, MP_ACCEPT_FLAGS, true },
	[MEGAPIPE_OP_READ] = { MP_READING, MP_ADDR | MP_LEN,
			       MP_TRANSFER_FLAGS },
	[MEGAPIPE_OP_RECV] = { MP_READING },
	[MEGAPIPE_OP_RECVMSG] = { MP_READING, MP_ADDR | MP_ARG, 0, true },
	[MEGAPIPE_OP_WRITE] = { MP_WRITING, MP_ADDR | MP_LEN,
				MP_TRANSFER_FLAGS },
	[MEGAPIPE_OP_SENDMSG] = { MP_WRITING, MP_ADDR | MP_ARG, 0, true },
	[MEGAPIPE_OP_DISCONNECT] = { MP_WRITING, MP_ARG, 0, true, true },
	[MEGAPIPE_OP_POLL] = { MP_POLLING, MP_ARG, 0, false, true },
	[MEGAPIPE_OP_CANCEL] = { 0, MP_ARG, 0, false, true },
	[MEGAPIPE_OP_CLOSE] = { 0, MP_ARG, MEGAPIPE_F_SILENT, false, true },
	[MEGAPIPE_OP_COOKIE] = { 0, MP_ADDR },
	[MEGAPIPE_OP_CONNECT] = { MP_WRITING, 0, 0, true },
};

static bool mp_is_well_formed(const struct megapipe_command *cmd,
			      const struct mp_rule *rule)
{
	u8 used = 0;

	if (cmd->addr)
		used |= MP_ADDR;
	if (cmd->len)
		used |= MP_LEN;
	if (cmd->arg)
		used |= MP_ARG;
	return !(used & ~rule->uses) && !(cmd->flags & ~rule->flags) &&
	       !cmd->reserved;
}

static int mp_check_at(const struct mp_handle *h,
		       const struct megapipe_command *cmd)
{
	if (h->kind != MEGAPIPE_KIND_DISK || cmd->len ||
	    cmd->flags & MEGAPIPE_F_VECTOR)
		return -EINVAL;
	return 0;
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
		if (h->kind == MEGAPIPE_KIND_DISK)
			return -EPERM;
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
	if (cmd->flags & MEGAPIPE_F_AT && rule->flags & MEGAPIPE_F_AT)
		return mp_check_at(h, cmd);
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
	mp_cancel(h, -1U);
	mp_go(h, at_once);
}

static int mp_operate(struct mp_handle *h, const struct megapipe_command *cmd,
		      int nr, bool at_once)
{
	struct mp_lane *lane = &h->lanes[nr];

	if (lane->state != MP_IDLE)
		return -EBUSY;
	lane->op = cmd->op;
	lane->flags = cmd->flags;
	lane->state = MP_NEW;
	lane->canceled = false;
	lane->len = cmd->len;
	lane->arg = cmd->arg;
	lane->addr = cmd->addr;
	lane->done = 0;
	lane->info = 0;
	h->busy |= BIT(nr);
	if (at_once)
		mp_begin(h, nr);
	else
		mp_todo(h);
	return 0;
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
		return mp_operate(h, cmd, rule->lane, at_once);
	if (cmd->op == MEGAPIPE_OP_COOKIE)
		h->cookie = cmd->addr;
	else if (cmd->op == MEGAPIPE_OP_CLOSE)
		mp_begin_close(h, cmd, at_once);
	else
		mp_begin_cancel(h, cmd->arg, at_once);
	return 0;
}
