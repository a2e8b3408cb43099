// SPDX-License-Identifier: GPL-2.0
/*
 * Commands: what they may say, and how they begin.
 */
#include <linux/poll.h>
#include <net/sock.h>

#include "channel.h"

#define MP_ADDR BIT(0)
#define MP_LEN BIT(1)
#define MP_ARG BIT(2)

struct mp_rule {
	u8 lane;
	u8 uses; /* these members; others are 0 */
	u8 flags;
	bool needs_socket;
};

static const struct mp_rule mp_rules[] = {
	[MEGAPIPE_OP_ACCEPT] = { MP_READING, MP_LEN,
				 MEGAPIPE_F_LWSOCKET | MEGAPIPE_F_PEER |
					 MEGAPIPE_F_NOWAIT,
				 true },
	[MEGAPIPE_OP_READ] = { MP_READING, MP_ADDR | MP_LEN,
			       MEGAPIPE_F_VECTOR | MEGAPIPE_F_AT, false },
	[MEGAPIPE_OP_RECV] = { MP_READING, 0, 0, false },
	[MEGAPIPE_OP_RECVMSG] = { MP_READING, MP_ADDR | MP_ARG, 0, true },
	[MEGAPIPE_OP_WRITE] = { MP_WRITING, MP_ADDR | MP_LEN,
				MEGAPIPE_F_VECTOR | MEGAPIPE_F_AT, false },
	[MEGAPIPE_OP_SENDMSG] = { MP_WRITING, MP_ADDR | MP_ARG, 0, true },
	[MEGAPIPE_OP_DISCONNECT] = { MP_WRITING, MP_ARG, 0, true },
	[MEGAPIPE_OP_POLL] = { MP_POLLING, MP_ARG, 0, false },
	[MEGAPIPE_OP_CANCEL] = { 0, MP_ARG, 0, false },
	[MEGAPIPE_OP_CLOSE] = { 0, MP_ARG, MEGAPIPE_F_SILENT, false },
	[MEGAPIPE_OP_COOKIE] = { 0, MP_ADDR, 0, false },
	[MEGAPIPE_OP_CONNECT] = { MP_WRITING, 0, 0, true },
};

static int mp_check_shape(const struct megapipe_command *cmd)
{
	const struct mp_rule *rule;

	if (!cmd->op || cmd->op >= ARRAY_SIZE(mp_rules))
		return -EINVAL;
	rule = &mp_rules[cmd->op];
	if (cmd->reserved || cmd->flags & ~rule->flags ||
	    (cmd->addr && !(rule->uses & MP_ADDR)) ||
	    (cmd->len && !(rule->uses & MP_LEN)) ||
	    (cmd->arg && !(rule->uses & MP_ARG)))
		return -EINVAL;
	return 0;
}

static int mp_check_for_handle(const struct mp_handle *h,
			       const struct megapipe_command *cmd)
{
	const u32 pollable = POLLIN | POLLOUT | POLLRDHUP;
	bool is_disk = h->kind == MEGAPIPE_KIND_DISK;

	if (mp_rules[cmd->op].needs_socket && !h->sock)
		return -ENOTSOCK;
	switch (cmd->op) {
	case MEGAPIPE_OP_READ:
	case MEGAPIPE_OP_WRITE:
		if (cmd->flags & MEGAPIPE_F_AT &&
		    (!is_disk || cmd->len || cmd->flags & MEGAPIPE_F_VECTOR))
			return -EINVAL;
		return 0;
	case MEGAPIPE_OP_DISCONNECT:
		return cmd->arg > SHUT_RDWR ? -EINVAL : 0;
	case MEGAPIPE_OP_POLL:
		if (is_disk)
			return -EPERM;
		return !cmd->arg || cmd->arg & ~pollable ? -EINVAL : 0;
	case MEGAPIPE_OP_CANCEL:
		return cmd->arg >> MP_LANES ? -EINVAL : 0;
	case MEGAPIPE_OP_CLOSE:
		if ((s32)cmd->arg < -1 ||
		    (!(h->number & MEGAPIPE_HANDLE_FILE) && cmd->arg != -1U))
			return -EINVAL;
		return 0;
	default:
		return 0;
	}
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
		      bool at_once)
{
	int nr = mp_rules[cmd->op].lane;
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
	struct mp_handle *h;
	int ret = mp_check_shape(cmd);

	if (ret)
		return ret;
	h = mp_lookup(ch, cmd->handle);
	if (!h || h->is_closing)
		return -EBADF;
	ret = mp_check_for_handle(h, cmd);
	if (ret)
		return ret;
	switch (cmd->op) {
	case MEGAPIPE_OP_CANCEL:
		mp_cancel(h, cmd->arg);
		mp_go(h, at_once);
		return 0;
	case MEGAPIPE_OP_CLOSE:
		mp_begin_close(h, cmd, at_once);
		return 0;
	case MEGAPIPE_OP_COOKIE:
		h->cookie = cmd->addr;
		return 0;
	default:
		return mp_operate(h, cmd, at_once);
	}
}
