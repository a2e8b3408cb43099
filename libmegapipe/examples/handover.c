// SPDX-License-Identifier: MIT
/*
 * An echo server that hands connections over: one thread accepts them, and
 * always has a receive in flight, as a server does that wants to see its peers
 * leave. After the first message it gives the connection to another thread,
 * which may get it as an fd: nothing that was received meanwhile is lost.
 *
 *   cc -pthread handover.c $(pkg-config --cflags --libs megapipe) -o handover
 *   ./handover [PORT]
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include <megapipe.h>

struct message {
	STAILQ_ENTRY(message) link;
	char bytes[];
};

struct conn {
	struct mp_handle *handle;
	STAILQ_HEAD(, message) writing;
	bool is_receiving;
	bool is_leaving;
};

static int to_other[2]; /* a pipe of fds */

static void check(int result, const char *what)
{
	if (result < 0)
		errx(1, "%s: %s", what, strerror(-result));
}

/* ------------------------------------------------------- what both do */

static void receive(struct conn *conn)
{
	check(mp_recv(conn->handle), "receive");
	conn->is_receiving = true;
}

static void begin(struct mp_channel *ch, int fd)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	check(conn ? 0 : -ENOMEM, "connection");
	STAILQ_INIT(&conn->writing);
	check(mp_register(ch, fd, conn, NULL, &conn->handle), "register");
	receive(conn);
}

/* A copy, so that receiving goes on whatever the peer takes. */
static void echo(struct mp_channel *ch, struct conn *conn, struct mp_event *ev)
{
	struct message *message = malloc(sizeof(*message) + ev->result);

	check(message ? 0 : -ENOMEM, "message");
	memcpy(message->bytes, ev->recv.data, ev->result);
	mp_release(ch, ev);
	STAILQ_INSERT_TAIL(&conn->writing, message, link);
	check(mp_write(conn->handle, message->bytes, ev->result), "write");
}

/* Each write has its event, in order, and all have before MP_CLOSE. */
static void written(struct conn *conn)
{
	struct message *message = STAILQ_FIRST(&conn->writing);

	STAILQ_REMOVE_HEAD(&conn->writing, link);
	free(message);
}

/* -------------------------------------------------------- handing over */

/*
 * Nothing may be in flight any more. What the channel has received ahead is
 * asked for and answered here, before that.
 */
static void try_to_leave(struct conn *conn)
{
	int fd;

	if (conn->is_receiving || !STAILQ_EMPTY(&conn->writing))
		return;
	fd = mp_lwsocket_to_fd(conn->handle);
	if (fd == -EBUSY) {
		receive(conn);
		return;
	}
	check(fd, "fd");
	if (write(to_other[1], &fd, sizeof(fd)) < 0)
		err(1, "pipe");
	free(conn);
}

static void begin_to_leave(struct conn *conn)
{
	receive(conn);
	check(mp_cancel(conn->handle, MP_RECV), "cancel");
	conn->is_leaving = true;
}

/* ------------------------------------------------------------- events */

static void received(struct mp_channel *ch, struct mp_event *ev,
		     bool hands_over)
{
	struct conn *conn = ev->cookie;

	conn->is_receiving = false;
	if (ev->result > 0)
		echo(ch, conn, ev);
	if (ev->result <= 0 && ev->result != -ECANCELED) {
		conn->is_leaving = false;
		mp_close(conn->handle);
	} else if (conn->is_leaving) {
		try_to_leave(conn);
	} else if (hands_over) {
		begin_to_leave(conn);
	} else {
		receive(conn);
	}
}

static void handle_event(struct mp_channel *ch, struct mp_event *ev,
			 bool hands_over)
{
	struct conn *conn = ev->cookie;

	if (ev->cmd == MP_RECV) {
		received(ch, ev, hands_over);
	} else if (ev->cmd == MP_WRITE) {
		written(conn);
		if (conn->is_leaving)
			try_to_leave(conn);
	} else if (ev->cmd == MP_CLOSE) {
		free(conn);
	}
}

static void *accept_and_hand_over(void *listener)
{
	struct mp_handle *accepting;
	struct mp_channel *ch;
	struct mp_event ev;

	check(mp_create(NULL, &ch), "create");
	check(mp_register(ch, (long)listener, NULL, NULL, &accepting),
	      "register");
	check(mp_accept(accepting, MP_ACCEPT_ALL, true), "accept");
	while (mp_dispatch(ch, &ev, -1) >= 0) {
		if (ev.cmd != MP_ACCEPT) {
			handle_event(ch, &ev, true);
			continue;
		}
		check(ev.result, "accept");
		begin(ch, ev.result);
	}
	return NULL;
}

static void *serve_others(void *nothing)
{
	struct mp_handle *coming;
	struct mp_channel *ch;
	struct mp_event ev;
	int fd;

	check(mp_create(NULL, &ch), "create");
	check(mp_register(ch, to_other[0], NULL, NULL, &coming), "register");
	check(mp_read(coming, &fd, sizeof(fd)), "read");
	while (mp_dispatch(ch, &ev, -1) >= 0) {
		if (ev.handle != coming) {
			handle_event(ch, &ev, false);
			continue;
		}
		begin(ch, fd);
		check(mp_read(coming, &fd, sizeof(fd)), "read");
	}
	return nothing;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(argc > 1 ? atoi(argv[1]) : 7777),
	};
	long listener = socket(AF_INET, SOCK_STREAM, 0);
	int on = 1;
	pthread_t one, other;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, 4096) || pipe(to_other))
		err(1, "listen");
	check(-pthread_create(&one, NULL, accept_and_hand_over,
			      (void *)listener),
	      "thread");
	check(-pthread_create(&other, NULL, serve_others, NULL), "thread");
	pause();
}
