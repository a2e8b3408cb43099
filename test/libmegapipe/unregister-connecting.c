/* SPDX-License-Identifier: MIT */
/*
 * A connect that gets no answer is given up by mp_unregister(), and by
 * mp_destroy().
 */
#include "check.h"

#define FILLERS 8

/* A listener whose accept queue is full: SYNs are dropped. */
static int full_listener(int fillers[FILLERS])
{
	int fd = listen_tcp(AF_INET);
	struct address a = address_of(fd);

	SYS(listen(fd, 0));
	for (int i = 0; i < FILLERS; i++) {
		fillers[i] =
			SYS(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
		(void)!connect(fillers[i], (struct sockaddr *)&a.storage,
			       a.len);
	}
	wait_queued(fd, 1);
	return fd;
}

static struct mp_handle *connecting(struct mp_channel *ch, int listener, int fd)
{
	struct address a = address_of(listener);
	struct mp_handle *h = make_handle(ch, fd);
	static char text[8];

	CHECK_IS(mp_connect(h, (struct sockaddr *)&a.storage, a.len), 0);
	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	CHECK_IS(mp_write(h, "x", 1), 0);
	EXPECT_NONE(ch);
	return h;
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int fillers[FILLERS], listener = full_listener(fillers);
	int one = SYS(socket(AF_INET, SOCK_STREAM, 0));
	int other = SYS(socket(AF_INET, SOCK_STREAM, 0));

	CHECK_IS(mp_unregister(connecting(ch, listener, one)), 0);
	EXPECT_NONE(ch);
	CHECK(is_open(one));
	SYS(close(one));
	connecting(ch, listener, other);
	mp_destroy(ch);
	CHECK(is_open(other));
	SYS(close(other));
	SYS(close(listener));
	for (int i = 0; i < FILLERS; i++)
		SYS(close(fillers[i]));
}
