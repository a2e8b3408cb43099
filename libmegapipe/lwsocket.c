// SPDX-License-Identifier: MIT
/*
 * lwsockets (paper, section 3.4.2): numbered sockets that belong to one
 * channel. Where the engine has direct descriptors the slot is theirs;
 * elsewhere it stands for an fd that the caller never sees.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine.h"

#define NO_SLOT UINT32_MAX

int mp__lwsockets_create(struct mp_channel *ch)
{
	uint32_t n = ch->options.max_lwsockets;

	ch->lwsockets = calloc(n, sizeof(*ch->lwsockets));
	if (!ch->lwsockets)
		return -ENOMEM;
	ch->lw_free = NO_SLOT;
	if (ch->is_direct)
		return 0;
	for (uint32_t i = n; i-- > 0;) {
		ch->lwsockets[i].next_free = ch->lw_free;
		ch->lw_free = i;
	}
	return 0;
}

static void account(struct mp_handle *listener, unsigned int slot, int fd)
{
	struct mp_channel *ch = listener->ch;
	struct mp__lwsocket *lw = &ch->lwsockets[slot];

	lw->fd = fd;
	lw->kind = listener->kind;
	lw->is_tcp = listener->is_tcp;
	lw->family = listener->listener->family;
	lw->state = MP__LW_ACCEPTED;
	ch->stats.lwsockets++;
}

/* An accepted fd becomes an lwsocket's. Returns the slot. */
int mp__lwsocket_hide(struct mp_handle *listener, int fd)
{
	struct mp_channel *ch = listener->ch;
	uint32_t slot = ch->lw_free;

	if (slot == NO_SLOT)
		return -ENFILE;
	ch->lw_free = ch->lwsockets[slot].next_free;
	account(listener, slot, fd);
	return slot;
}

/* The kernel has put an accepted socket into a slot. */
int mp__lwsocket_adopt(struct mp_handle *listener, unsigned int slot)
{
	if (slot >= listener->ch->options.max_lwsockets)
		return -ENFILE;
	account(listener, slot, -1);
	return slot;
}

/* The socket is closed: the slot may come again. */
void mp__lwsocket_forget(struct mp_channel *ch, unsigned int slot)
{
	struct mp__lwsocket *lw = &ch->lwsockets[slot];

	if (lw->state == MP__LW_FREE)
		return;
	lw->state = MP__LW_FREE;
	ch->stats.lwsockets--;
	if (!ch->is_direct) {
		lw->next_free = ch->lw_free;
		ch->lw_free = slot;
	}
	mp__accept_freed(ch);
}

void mp__lwsocket_close(struct mp_channel *ch, unsigned int slot)
{
	struct mp__lwsocket *lw = &ch->lwsockets[slot];

	if (lw->fd >= 0) {
		mp__fd_close(ch, lw->fd);
		ch->stats.crossings++;
	} else {
		ch->engine->close_slot(ch, slot);
	}
	mp__lwsocket_forget(ch, slot);
}
