/* SPDX-License-Identifier: MIT */
/* Connections of a UNIX listener can be lwsockets, too. */
#include <sys/un.h>

#include "check.h"

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int listener = SYS(socket(AF_UNIX, SOCK_STREAM, 0));

	SYS(bind(listener, (struct sockaddr *)&a, sizeof(a.sun_family)));
	SYS(listen(listener, 8));
	CHECK_IS(mp_accept(make_handle(ch, listener), MP_ACCEPT_ALL, true), 0);
	for (int i = 0; i < 20; i++) {
		int client = connect_to(listener), id = NEXT(ch).result;

		CHECK(id >= MP_LWSOCKET_BASE);
		check_stream(ch, id, client);
	}
	CHECK_IS(stats_of(ch).lwsockets, 0);
	mp_destroy(ch);
	SYS(close(listener));
}
