/* SPDX-License-Identifier: MIT */
/*
 * What keeps the library from finding out whether the kernel can steer is told
 * as it is, and isn't taken for an answer: later it works. A child that comes
 * meanwhile has none of its sockets.
 */
#include <sys/syscall.h>

#include "check.h"

#define TOO_FEW 4

static bool drops, forks;
static int fds;

static void have_child(void)
{
	pid_t child = SYS(fork());

	if (child == 0) {
		CHECK_IS(open_fds(), fds);
		_exit(0);
	}
	child_passes(child);
}

/* The library's: a firewall drops the first packet. */
int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	if (forks)
		have_child();
	if (!drops)
		return syscall(SYS_connect, fd, addr, len);
	errno = EINPROGRESS;
	return -1;
}

static int register_part(struct mp_channel *ch, int listener)
{
	cpu_set_t mask = cpu_mask_of(0);
	struct mp_handle *h;

	return mp_register(ch, listener, NULL, &mask, &h);
}

void test(void)
{
	int listener = listen_tcp(AF_INET), lowest, ret;
	struct mp_channel *ch;

	fds = open_fds();
	ch = make_channel();
	lowest = SYS(dup(0));
	SYS(close(lowest));
	CHECK(limit_fds(lowest + TOO_FEW));
	CHECK_IS(register_part(ch, listener), -EMFILE);
	CHECK(limit_fds(lowest + 100));
	drops = true;
	CHECK_IS(register_part(ch, listener), -ETIMEDOUT);
	drops = false;
	forks = true;
	ret = register_part(ch, listener);
	if (ret == -EOPNOTSUPP)
		skip("this kernel can't steer connections by CPU");
	CHECK_IS(ret, 0);
	mp_destroy(ch);
	SYS(close(listener));
}
