/* SPDX-License-Identifier: MIT */
/*
 * Connects to a UNIX listener whose backlog is full wait for it, and all
 * complete.
 */
#include <sys/un.h>

#include "check.h"

#define CLIENTS 12

static int listen_unix(struct sockaddr_un *a)
{
	int fd = SYS(socket(AF_UNIX, SOCK_STREAM, 0));

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(a->sun_path, sizeof(a->sun_path), "%s/socket",
		 scratch_directory());
	SYS(bind(fd, (struct sockaddr *)a, sizeof(*a)));
	SYS(listen(fd, 1));
	return fd;
}

/* What has connected, up to when it is quiet. */
static int connected(struct mp_channel *ch)
{
	struct mp_event ev;
	int count = 0;

	for (; mp_dispatch(ch, &ev, QUIET_US) == 1; count++) {
		CHECK_IS(ev.cmd, MP_CONNECT);
		CHECK_IS(ev.result, 0);
	}
	return count;
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	struct sockaddr_un a;
	int listener = listen_unix(&a), done;

	for (int i = 0; i < CLIENTS; i++) {
		struct mp_handle *h =
			make_handle(ch, SYS(socket(AF_UNIX, SOCK_STREAM, 0)));

		CHECK_IS(mp_connect(h, (struct sockaddr *)&a, sizeof(a)), 0);
	}
	done = connected(ch);
	CHECK(done < CLIENTS);
	for (int i = 0; i < CLIENTS; i++) {
		SYS(close(SYS(accept(listener, NULL, NULL))));
		done += connected(ch);
	}
	for (; done < CLIENTS; done++)
		CHECK_IS(NEXT(ch).result, 0);
	EXPECT_NONE(ch);
	mp_destroy(ch);
	SYS(close(listener));
}
