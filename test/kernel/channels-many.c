/* SPDX-License-Identifier: MIT */
/* A thread may have many channels, which know nothing of each other. */
#include "channel.h"
#include "machine.h"

#define COUNT 200

static int channels[COUNT], clients[COUNT], pairs[COUNT][2];
static uint32_t handles[COUNT];
static char text[COUNT][8];

void test(void)
{
	int listener = listen_tcp(AF_INET);

	CHECK(limit_fds(5 * COUNT));
	for (int i = 0; i < COUNT; i++) {
		channels[i] = new_channel();
		handles[i] =
			accept_lwsocket(channels[i], listener, &clients[i], i);
		unix_pair(pairs[i], SOCK_STREAM);
		ASK(channels[i], READ, handles[i], BYTES(text[i], 8));
		/* the same file in all of them */
		ASK(channels[i], POLL, add(channels[i], pairs[0][0], COUNT),
		    .arg = POLLIN);
	}
	for (int i = 0; i < COUNT; i++)
		send_all(clients[i], "x", 1);
	for (int i = COUNT; i-- > 0;)
		COMPLETES(channels[i], i, READ, 1);
	send_all(pairs[0][1], "x", 1);
	for (int i = 0; i < COUNT; i++)
		COMPLETES(channels[i], COUNT, POLL, POLLIN);
	for (int i = 0; i < COUNT; i += 2)
		SYS(close(channels[i]));
	for (int i = 0; i < COUNT; i += 2)
		receive_end(clients[i]);
	for (int i = 1; i < COUNT; i += 2) {
		check_echo(channels[i], handles[i], i, clients[i]);
		SYS(close(channels[i]));
	}
	await_module_users(0);
}
