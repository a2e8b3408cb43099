/* SPDX-License-Identifier: MIT */
/* POLL tells once which of the events hold, as poll() would. */
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "channel.h"

static int ch;

static void check_socket(void)
{
	int pair[2];
	char text[8];
	uint32_t h;

	unix_pair(pair, SOCK_STREAM);
	h = add(ch, pair[0], 1);
	ASK(ch, POLL, h, .arg = POLLOUT);
	COMPLETES(ch, 1, POLL, POLLOUT);
	ASK(ch, POLL, h, .arg = POLLIN);
	STAYS_QUIET(ch);
	send_all(pair[1], "x", 1);
	COMPLETES(ch, 1, POLL, POLLIN);
	STAYS_QUIET(ch); /* once */
	ASK(ch, POLL, h, .arg = POLLIN | POLLOUT);
	COMPLETES(ch, 1, POLL, POLLIN | POLLOUT);
	receive_all(pair[0], text, 1);
	ASK(ch, POLL, h, .arg = POLLRDHUP);
	SYS(shutdown(pair[1], SHUT_WR));
	COMPLETES(ch, 1, POLL, POLLRDHUP);
	SYS(close(pair[1]));
	ASK(ch, POLL, h, .arg = POLLRDHUP);
	CHECK(NEXT_OF(ch).result & POLLHUP);
	REFUSES(ch, -EINVAL, POLL, h);
	drop(ch, h);
	SYS(close(pair[0]));
}

/* A poll does not take the read's wake-up, nor the read the poll's. */
static void check_beside_read(void)
{
	int pair[2], seen = 0;
	char text[8];
	uint32_t h;

	unix_pair(pair, SOCK_STREAM);
	h = add(ch, pair[0], 1);
	for (int i = 0; i < 20; i++) {
		ASK(ch, READ, h, BYTES(text, 8));
		ASK(ch, POLL, h, .arg = POLLIN);
		send_all(pair[1], "x", 1);
		seen = 1 << NEXT_OF(ch).op;
		if (seen == 1 << MEGAPIPE_OP_READ) {
			send_all(pair[1], "y", 1);
			COMPLETES(ch, 1, POLL, POLLIN);
			receive_all(pair[0], text, 1);
		} else {
			COMPLETES(ch, 1, READ, 1);
		}
	}
	drop(ch, h);
}

/* An epoll instance is ready when one of its files is. */
static void check_epoll(void)
{
	int epoll = SYS(epoll_create1(EPOLL_CLOEXEC)),
	    event_fd = SYS(eventfd(0, EFD_CLOEXEC));
	struct epoll_event event = { .events = EPOLLIN };
	const uint64_t one = 1;
	uint32_t h;

	SYS(epoll_ctl(epoll, EPOLL_CTL_ADD, event_fd, &event));
	h = add(ch, epoll, 1);
	ASK(ch, POLL, h, .arg = POLLIN);
	STAYS_QUIET(ch);
	send_all(event_fd, &one, sizeof(one));
	COMPLETES(ch, 1, POLL, POLLIN);
	ASK(ch, POLL, h, .arg = POLLIN);
	COMPLETES(ch, 1, POLL, POLLIN);
	CHECK_IS(SYS(epoll_wait(epoll, &event, 1, 0)), 1);
	CHECK(OUTCOME(ch, READ, h, BYTES(&event, 1)) < 0);
	drop(ch, h);
	SYS(close(epoll));
}

static void check_lwsocket(void)
{
	int listener = listen_tcp(AF_INET), client;
	uint32_t h = accept_lwsocket(ch, listener, &client, 1);

	ASK(ch, POLL, h, .arg = POLLIN);
	STAYS_QUIET(ch);
	send_all(client, "x", 1);
	COMPLETES(ch, 1, POLL, POLLIN);
	ASK(ch, POLL, h, .arg = POLLRDHUP);
	STAYS_QUIET(ch);
	SYS(close(client));
	CHECK(NEXT_OF(ch).result & POLLRDHUP);
	drop(ch, h);

	h = add(ch, listener, 1);
	ASK(ch, POLL, h, .arg = POLLIN);
	STAYS_QUIET(ch);
	client = connect_to(listener);
	COMPLETES(ch, 1, POLL, POLLIN);
}

void test(void)
{
	ch = new_channel();
	check_socket();
	check_beside_read();
	check_epoll();
	check_lwsocket();
	SYS(close(ch));
}
