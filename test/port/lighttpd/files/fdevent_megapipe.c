// SPDX-License-Identifier: BSD-3-Clause
/*
 * The channel, and lighttpd's event handler on top of it: lighttpd asks for
 * readiness, a channel gives completions. So a connection that has received
 * something counts as readable, and one that writes nothing as writable.
 *
 * Settings come from the environment: MEGAPIPE_ENGINE, MEGAPIPE_BATCH,
 * MEGAPIPE_MODERATION_US, MEGAPIPE_LWSOCKET (on, off).
 */
#include "fdevent_megapipe.h"

#include <errno.h>
#include <megapipe.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base.h"
#include "chunk.h"
#include "ck.h"
#include "connections.h"
#include "fdevent_impl.h"
#include "log.h"
#include "network.h"

#define CLIENT_NODE (-2)       /* fde_ndx of a connection's node */
#define WRITE_SIZE (64 * 1024) /* of a file, at a time */

struct listener {
	struct mp_handle *handle;
	fdnode *node;
	struct listener *next;
};

struct client {
	struct mp_handle *handle; /* NULL: closed */
	fdnode node;		  /* node.ctx is the connection */
	struct mp_event received; /* its data is not read yet, if has_data */
	bool has_data;
	bool has_ended;
	bool is_closed; /* lighttpd has forgotten it */
	char *writing;	/* what is being written; or NULL */
	off_t written;	/* of the queue's beginning */
	struct client *next_ready;
	bool is_ready; /* in the list of those to be told again */
};

static struct {
	struct mp_channel *channel;
	bool is_lwsocket;
	struct mp_handle *epoll;
	struct listener *listeners;
	struct client *accepting; /* connection_accepted() is called for it */
	struct client *ready;
	/* the event handler for all other descriptors */
	int (*event_set)(struct fdevents *ev, fdnode *fdn, int events);
	int (*event_del)(struct fdevents *ev, fdnode *fdn);
	int (*poll)(struct fdevents *ev, int timeout_ms);
	void (*free)(struct fdevents *ev);
} mp;

static struct client *client_of(fdnode *node)
{
	return (struct client *)((char *)node - offsetof(struct client, node));
}

/* ------------------------------------------------------------ connections */

static int read_client(connection *con, chunkqueue *cq, off_t max_bytes)
{
	struct client *client = client_of(con->fdn);

	(void)max_bytes; /* a buffer of the channel is less than any limit */
	con->is_readable = 0;
	if (client->has_data) {
		client->has_data = false;
		chunkqueue_append_mem(cq, client->received.recv.data,
				      (size_t)client->received.result);
		mp_release(mp.channel, &client->received);
		return mp_recv(client->handle) == 0 ? 0 : -1;
	}
	return client->has_ended ? -2 : 0;
}

/*
 * What the channel writes is a copy, which it has until the kernel has taken
 * some of it. Until then it stays in the queue, so that lighttpd sees how fast
 * the client takes it, and when it has all.
 */
static int write_client(connection *con, chunkqueue *cq, off_t max_bytes)
{
	struct client *client = client_of(con->fdn);
	uint32_t size = max_bytes < WRITE_SIZE ? (uint32_t)max_bytes :
						 WRITE_SIZE;
	char *data;

	con->is_writable = 0;
	if (client->writing)
		return 0;
	chunkqueue_mark_written(cq, client->written);
	client->written = 0;
	if (chunkqueue_is_empty(cq)) {
		con->is_writable = 1;
		return 0;
	}
	data = client->writing = ck_malloc(size);
	if (chunkqueue_peek_data(cq, &data, &size, con->srv->errh) == 0) {
		if (data != client->writing)
			memcpy(client->writing, data, size);
		if (mp_send(client->handle, client->writing, size,
			    MP_PARTIAL) == 0)
			return 0;
	}
	free(client->writing);
	client->writing = NULL;
	return -1;
}

bool fdevent_megapipe_adopt(connection *con, fdevent_handler handler)
{
	struct client *client = mp.accepting;

	if (!client)
		return false;
	client->node.handler = handler;
	client->node.ctx = con;
	client->node.fd = con->fd;
	client->node.fde_ndx = CLIENT_NODE;
	con->fdn = &client->node;
	con->network_read = read_client;
	con->network_write = write_client;
	return true;
}

bool fdevent_megapipe_has(const connection *con)
{
	return con->network_read == read_client;
}

int fdevent_megapipe_shutdown(connection *con)
{
	struct mp_handle *handle = client_of(con->fdn)->handle;

	return mp_disconnect(handle, SHUT_WR) == 0 ? 0 : -1;
}

void fdevent_megapipe_close(connection *con)
{
	struct client *client = client_of(con->fdn);

	con->fdn = NULL;
	client->is_closed = true;
	mp_close_within(client->handle, 0);
}

/* ----------------------------------------------------------- completions */

static void tell(struct client *client, int events)
{
	if (!client->is_closed)
		client->node.handler(client->node.ctx, events);
}

static void accepted(struct listener *listener, const struct mp_event *ev)
{
	const server_socket *socket = listener->node->ctx;
	struct client *client;
	socklen_t len = sizeof(sock_addr);
	sock_addr addr = { .plain.sa_family = AF_UNSPEC };
	connection *con;

	if (ev->result < 0) {
		errno = (int)-ev->result;
		log_perror(socket->srv->errh, __FILE__, __LINE__, "accept");
		return;
	}
	client = ck_calloc(1, sizeof(*client));
	if (mp_register(mp.channel, (int)ev->result, client, NULL,
			&client->handle) < 0 ||
	    mp_recv(client->handle) < 0)
		ck_bt_abort(__FILE__, __LINE__, "mp_register");
	if (ev->accept.peer)
		memcpy(&addr, ev->accept.peer, ev->accept.peer_len);
	else
		mp_getpeername(client->handle, (struct sockaddr *)&addr, &len);
	mp.accepting = client;
	con = connection_accepted(socket->srv, socket, &addr, (int)ev->result);
	mp.accepting = NULL;
	if (con)
		connection_state_machine(con);
}

static void received(struct client *client, const struct mp_event *ev)
{
	client->has_data = ev->result > 0;
	client->has_ended = ev->result <= 0;
	client->received = *ev;
	tell(client, FDEVENT_IN);
}

static void written(struct client *client, const struct mp_event *ev)
{
	free(client->writing);
	client->writing = NULL;
	client->written = ev->result > 0 ? ev->result : 0;
	tell(client, ev->result >= 0 ? FDEVENT_OUT : FDEVENT_ERR);
}

static void closed(struct client *client)
{
	if (client->has_data)
		mp_release(mp.channel, &client->received);
	client->has_data = false;
	free(client->writing);
	client->writing = NULL;
	if (!client->is_ready) /* else by tell_ready() */
		free(client);
	else
		client->handle = NULL;
}

static void handle_event(struct fdevents *ev, const struct mp_event *event)
{
	if (event->cmd == MP_ACCEPT)
		accepted(event->cookie, event);
	else if (event->cmd == MP_RECV)
		received(event->cookie, event);
	else if (event->cmd == MP_WRITE)
		written(event->cookie, event);
	else if (event->cmd == MP_CLOSE)
		closed(event->cookie);
	else if (event->cmd == MP_POLL) {
		mp.poll(ev, 0);
		mp_poll(mp.epoll, POLLIN);
	}
}

/* Readiness that was there before lighttpd asked for it. */
static int tell_ready(void)
{
	struct client *client = mp.ready;
	int count = 0;

	mp.ready = NULL;
	for (struct client *next; client; client = next, count++) {
		int events =
			client->has_data || client->has_ended ? FDEVENT_IN : 0;

		next = client->next_ready;
		client->is_ready = false;
		if (!client->handle)
			free(client);
		else
			tell(client,
			     events | (client->writing ? 0 : FDEVENT_OUT));
	}
	return count;
}

/* ------------------------------------------------- lighttpd's event handler */

static struct listener *listener_of(const fdnode *node)
{
	struct listener *one = mp.listeners;

	while (one && one->node != node)
		one = one->next;
	return one;
}

static struct listener *make_listener(fdnode *node)
{
	struct listener *listener = ck_calloc(1, sizeof(*listener));

	listener->node = node;
	if (mp_register(mp.channel, node->fd, listener, NULL,
			&listener->handle) < 0)
		ck_bt_abort(__FILE__, __LINE__, "mp_register");
	listener->next = mp.listeners;
	return mp.listeners = listener;
}

static bool is_listening(int fd)
{
	socklen_t len = sizeof(int);
	int listens = 0;

	return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) &&
	       listens;
}

static void set_client(struct client *client, int events)
{
	bool in = (events & FDEVENT_IN) &&
		  (client->has_data || client->has_ended);
	bool out = (events & FDEVENT_OUT) && !client->writing;

	if (client->is_ready || !(in || out))
		return;
	client->is_ready = true;
	client->next_ready = mp.ready;
	mp.ready = client;
}

static int event_set(struct fdevents *ev, fdnode *node, int events)
{
	struct listener *listener;

	if (node->fde_ndx == CLIENT_NODE) {
		set_client(client_of(node), events);
		return 0;
	}
	listener = listener_of(node);
	if (!listener && is_listening(node->fd))
		listener = make_listener(node);
	if (!listener)
		return mp.event_set(ev, node, events);
	node->fde_ndx = node->fd;
	errno = -mp_accept(listener->handle,
			   events & FDEVENT_IN ? MP_ACCEPT_ALL : 0,
			   mp.is_lwsocket);
	return errno ? -1 : 0;
}

static int event_del(struct fdevents *ev, fdnode *node)
{
	struct listener **link = &mp.listeners, *listener;

	while ((listener = *link) && listener->node != node)
		link = &listener->next;
	if (!listener)
		return mp.event_del(ev, node);
	mp_unregister(listener->handle);
	*link = listener->next;
	free(listener);
	return 0;
}

/*
 * All that is there at once, and no more: then lighttpd handles its queue of
 * connections, whose requests go to the kernel together.
 */
static int poll_channel(struct fdevents *ev, int timeout_ms)
{
	int64_t timeout_us = mp.ready ? 0 : (int64_t)timeout_ms * 1000;
	struct mp_event event;
	int count = 0, result;

	do {
		result = mp_dispatch(mp.channel, &event, timeout_us);
		if (result < 0) {
			errno = -result;
			return -1;
		}
		if (result == 1)
			handle_event(ev, &event);
		count += result;
	} while (mp_pending(mp.channel));
	return count + tell_ready();
}

static void free_channel(struct fdevents *ev)
{
	mp_destroy(mp.channel);
	mp.free(ev);
}

/* ------------------------------------------------------------ beginning */

static unsigned int number(const char *name)
{
	const char *text = getenv(name);

	return text ? (unsigned int)strtoul(text, NULL, 10) : 0;
}

static int make_channel(const struct fdevents *ev, struct mp_options *options)
{
	const char *lwsocket = getenv("MEGAPIPE_LWSOCKET");
	int error = mp_create(options, &mp.channel);

	if (error) {
		log_error(ev->errh, __FILE__, __LINE__,
			  "cannot make a channel (MEGAPIPE_ENGINE %s): %s",
			  options->engine ? options->engine : "auto",
			  strerror(-error));
		return -1;
	}
	mp.is_lwsocket = !lwsocket || strcmp(lwsocket, "off") != 0;
	log_error(ev->errh, __FILE__, __LINE__,
		  "engine %s, batch %u, lwsocket %s, partition off, "
		  "moderation %u us",
		  mp_engine_name(mp.channel), options->batch,
		  mp.is_lwsocket ? "on" : "off", options->moderation_us);
	return 0;
}

int fdevent_megapipe_init(struct fdevents *ev)
{
	struct mp_options options = {
		.size = sizeof(options),
		.engine = getenv("MEGAPIPE_ENGINE"),
		.batch = number("MEGAPIPE_BATCH"),
		.moderation_us = number("MEGAPIPE_MODERATION_US"),
		.accept_peer = true,
	};

	if (!options.batch)
		options.batch = MP_BATCH_DEFAULT;
	if (make_channel(ev, &options) < 0)
		return -1;
	if (mp_register(mp.channel, ev->epoll_fd, NULL, NULL, &mp.epoll) < 0 ||
	    mp_poll(mp.epoll, POLLIN) < 0)
		return -1;
	mp.event_set = ev->event_set;
	mp.event_del = ev->event_del;
	mp.poll = ev->poll;
	mp.free = ev->free;
	ev->type = FDEVENT_HANDLER_MEGAPIPE;
	ev->event_set = event_set;
	ev->event_del = event_del;
	ev->poll = poll_channel;
	ev->free = free_channel;
	return 0;
}
