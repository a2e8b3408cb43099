/* SPDX-License-Identifier: MIT */
/* The administrator can forbid lwsockets; descriptors are accepted as before.
 */
#include "channel.h"
#include "machine.h"
#include "processes.h"

#define PARAMETER "/sys/module/megapipe/parameters/no_lwsockets"

void test(void)
{
	int ch = new_channel(), listener = listen_tcp(AF_INET), client;
	uint32_t h;

	need_root();
	CHECK(write_text(PARAMETER, "1"));
	client = connect_to(listener);
	h = add(ch, listener, 1);
	CHECK_IS(OUTCOME(ch, ACCEPT, h, .len = 1), -EOPNOTSUPP);
	CHECK_IS(OUTCOME(ch, POLL, h, .arg = POLLIN), POLLIN);
	SYS(close(SYS(accept(listener, NULL, NULL))));
	SYS(close(client));
	CHECK(write_text(PARAMETER, "0"));
	drop(ch, h);
	drop(ch, accept_lwsocket(ch, listener, &client, 1));
	SYS(close(ch));
}
