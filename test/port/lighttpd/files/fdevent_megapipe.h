/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lighttpd over MegaPipe: server.event-handler = "megapipe".
 *
 * Clients' connections are accepted, received and written by a channel; all
 * other descriptors stay in the epoll set of "linux-sysepoll", which is one
 * more file in the channel.
 */
#ifndef INCLUDED_FDEVENT_MEGAPIPE_H
#define INCLUDED_FDEVENT_MEGAPIPE_H
#include "first.h"

#include <stdbool.h>

#include "base_decls.h"
#include "fdevent.h"

/* Turn an event handler "linux-sysepoll" into "megapipe". 0, or -1. */
int fdevent_megapipe_init(struct fdevents *ev);

/*
 * Give a connection that the channel has accepted its node, and the functions
 * that read and write it. False: another event handler has accepted it.
 */
bool fdevent_megapipe_adopt(connection *con, fdevent_handler handler);

/* Whether a connection is one of the channel. */
bool fdevent_megapipe_has(const connection *con);

/* shutdown(SHUT_WR), after what was written. 0, or -1. */
int fdevent_megapipe_shutdown(connection *con);

/* close(); its node is gone. */
void fdevent_megapipe_close(connection *con);

#endif
