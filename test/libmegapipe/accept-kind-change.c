/* SPDX-License-Identifier: MIT */
/*
 * While accepting goes on the kind of what is accepted can't change (-EBUSY);
 * after it has stopped it can, and nothing gets the wrong kind.
 */
#include "check.h"

/* Stopping takes until the kernel has said so. */
static void accept_soon(struct mp_channel *ch, struct mp_handle *h,
			bool is_lwsocket)
{
	int r;

	CHECK_IS(mp_accept(h, 0, is_lwsocket), 0);
	while ((r = mp_accept(h, MP_ACCEPT_ALL, is_lwsocket)) == -EBUSY)
		EXPECT_NONE(ch);
	CHECK_IS(r, 0);
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET);
	struct mp_handle *h = make_handle(ch, listener);

	CHECK_IS(mp_accept(h, MP_ACCEPT_ALL, false), 0);
	for (int i = 0; i < 6; i++) {
		bool is_lwsocket = i % 2;

		CHECK_IS(mp_accept(h, 1, !is_lwsocket), -EBUSY);
		for (int k = 0; k < 2; k++) {
			int client = connect_to(listener), id = NEXT(ch).result;

			CHECK((id >= MP_LWSOCKET_BASE) == is_lwsocket);
			check_stream(ch, id, client);
		}
		accept_soon(ch, h, !is_lwsocket);
	}
	mp_destroy(ch);
	SYS(close(listener));
}
