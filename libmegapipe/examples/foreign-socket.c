// SPDX-License-Identifier: MIT
/*
 * A library that reads and writes a socket of its own, and only tells for what
 * it waits (as libcurl, libpq or c-ares do), within a channel's loop: here it
 * ships what clients say to a collector. What it waits for changes while
 * mp_poll() is in flight: for room to write, too, as soon as it has something.
 *
 *   cc foreign-socket.c $(pkg-config --cflags --libs megapipe) -o
 * foreign-socket
 *   ./foreign-socket PORT PORT-OF-COLLECTOR
 */
#define _GNU_SOURCE
#include <err.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <megapipe.h>

static void check(int result, const char *what)
{
	if (result < 0)
		errx(1, "%s: %s", what, strerror(-result));
}

/* ------------------------------------------------------------ the library */

struct shipper {
	int fd;
	size_t size; /* bytes that wait */
	char bytes[1 << 20];
};

static struct shipper shipper;

static struct sockaddr_in loopback(const char *port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static void shipper_connect(const char *port)
{
	struct sockaddr_in address = loopback(port);

	shipper.fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(shipper.fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "connect");
}

/* What doesn't fit is dropped. */
static void shipper_put(const void *bytes, size_t size)
{
	if (size > sizeof(shipper.bytes) - shipper.size)
		return;
	memcpy(shipper.bytes + shipper.size, bytes, size);
	shipper.size += size;
}

static short shipper_waits_for(void)
{
	return POLLIN | (shipper.size ? POLLOUT : 0);
}

static void shipper_run(void)
{
	char answer[256];
	ssize_t n = send(shipper.fd, shipper.bytes, shipper.size, MSG_DONTWAIT);

	if (n > 0) {
		shipper.size -= n;
		memmove(shipper.bytes, shipper.bytes + n, shipper.size);
	}
	if (!recv(shipper.fd, answer, sizeof(answer), MSG_DONTWAIT))
		errx(1, "the collector has gone");
}

/* ------------------------------------------------------------ the channel */

static struct mp_handle *shipping;

/* Asked again while it is in flight, it waits for this instead. */
static void wait_for_shipper(void)
{
	check(mp_poll(shipping, shipper_waits_for()), "poll");
}

static void received(struct mp_channel *ch, struct mp_event *ev)
{
	if (ev->result <= 0) {
		mp_close(ev->handle);
		return;
	}
	shipper_put(ev->recv.data, ev->result);
	mp_release(ch, ev);
	mp_recv(ev->handle);
	wait_for_shipper();
}

static void handle_event(struct mp_channel *ch, struct mp_event *ev)
{
	struct mp_handle *conn;

	if (ev->cmd == MP_ACCEPT) {
		check(ev->result, "accept");
		check(mp_register(ch, ev->result, NULL, NULL, &conn),
		      "register");
		mp_recv(conn);
	} else if (ev->cmd == MP_RECV) {
		received(ch, ev);
	} else if (ev->cmd == MP_POLL) {
		shipper_run();
		wait_for_shipper();
	}
}

static int listen_at(const char *port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(fd, 4096))
		err(1, "listen");
	return fd;
}

int main(int argc, char **argv)
{
	struct mp_handle *accepting;
	struct mp_channel *ch;
	struct mp_event ev;

	if (argc < 3)
		errx(2, "usage: foreign-socket PORT PORT-OF-COLLECTOR");
	shipper_connect(argv[2]);
	check(mp_create(NULL, &ch), "create");
	check(mp_register(ch, listen_at(argv[1]), NULL, NULL, &accepting),
	      "register");
	check(mp_accept(accepting, MP_ACCEPT_ALL, true), "accept");
	check(mp_register(ch, shipper.fd, NULL, NULL, &shipping), "register");
	wait_for_shipper();
	while (mp_dispatch(ch, &ev, -1) >= 0)
		handle_event(ch, &ev);
	return 1;
}
