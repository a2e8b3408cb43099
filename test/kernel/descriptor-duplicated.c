/* SPDX-License-Identifier: MIT */
/* A channel lives until its last descriptor is closed. */
#include "channel.h"
#include "machine.h"

void test(void)
{
	int ch = new_channel(), other = SYS(dup(ch)), pair[2], client;
	int listener = listen_tcp(AF_INET);
	uint32_t h, lwsocket = accept_lwsocket(ch, listener, &client, 2);

	unix_pair(pair, SOCK_STREAM);
	h = add(ch, pair[0], 1);
	check_echo(other, h, 1, pair[1]);
	SYS(close(ch));
	check_echo(other, h, 1, pair[1]);
	check_echo(other, lwsocket, 2, client);
	SYS(close(other));
	receive_end(client);
	/* files that were registered are open still */
	send_all(pair[0], "x", 1);
	await_module_users(0);
}
