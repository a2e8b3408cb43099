/* SPDX-License-Identifier: MIT */
/*
 * A CPU is held by one handle of a socket: overlapping masks are -EBUSY till
 * that one has gone.
 */
#include "servers.h"

static struct mp_handle *hold(struct mp_channel *ch, int fd, cpu_set_t mask)
{
	struct mp_handle *h = NULL;

	CHECK_IS(mp_register(ch, fd, NULL, &mask, &h), 0);
	return h;
}

static void check_busy(struct mp_channel *ch, int fd, cpu_set_t mask)
{
	struct mp_handle *h = NULL;
	int fds = open_fds();

	CHECK_IS(mp_register(ch, fd, NULL, &mask, &h), -EBUSY);
	CHECK(h == NULL);
	CHECK_IS(open_fds(), fds);
}

void test(void)
{
	struct mp_channel *a = make_channel(), *b = make_channel();
	int listener = listen_tcp(AF_INET), other = listen_tcp(AF_INET);
	int cpus[MOST_CPUS];
	cpu_set_t one, two, both;
	struct mp_handle *h;

	need_cpus(cpus);
	one = cpu_mask_of(cpus[0]);
	two = cpu_mask_of(cpus[1]);
	CPU_OR(&both, &one, &two);
	h = hold(a, listener, one);
	check_busy(b, listener, one);
	check_busy(b, listener, both);
	hold(b, other, both);
	check_busy(a, other, two);
	CHECK_IS(mp_close(h), 0);
	EXPECT(a, h, MP_CLOSE, 0);
	mp_destroy(a);
	mp_destroy(b);
	b = make_channel();
	hold(b, other, one);
	mp_destroy(b);
	SYS(close(other));
}
