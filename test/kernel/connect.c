/* SPDX-License-Identifier: MIT */
/* CONNECT waits for the end of a connect() that is in progress. */
#include <netinet/in.h>

#include "channel.h"

static int ch;

static int begin(const struct address *a)
{
	int fd = SYS(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	int r = TRY_SYS(
		connect(fd, (const struct sockaddr *)&a->storage, a->len));

	CHECK(r == 0 || r == -EINPROGRESS);
	return fd;
}

void test(void)
{
	int listener = listen_tcp(AF_INET), full = listen_tcp(AF_INET), fd;
	struct address a = address_of(listener), b = address_of(full);
	uint32_t h;

	ch = new_channel();
	fd = begin(&a);
	h = add(ch, fd, 1);
	CHECK_IS(OUTCOME(ch, CONNECT, h), 0);
	check_echo(ch, h, 1, SYS(accept(listener, NULL, NULL)));
	SYS(close(listener));
	fd = begin(&a);
	CHECK_IS(OUTCOME(ch, CONNECT, add(ch, fd, 1)), -ECONNREFUSED);

	/* the queue is full: it stays in progress */
	SYS(listen(full, 0));
	connect_to(full);
	h = add(ch, begin(&b), 2);
	ASK(ch, CONNECT, h);
	STAYS_QUIET(ch);
	REFUSES(ch, -EBUSY, WRITE, h, BYTES("x", 1));
	ASK(ch, CANCEL, h, .arg = MEGAPIPE_LANE_WRITE);
	COMPLETES(ch, 2, CONNECT, -ECANCELED);
	SYS(close(ch));
}
