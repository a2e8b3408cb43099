/* SPDX-License-Identifier: MIT */
/*
 * A mask is for listening TCP sockets, and names at least one CPU that is
 * there.
 */
#include <sys/un.h>

#include "servers.h"

static void check_refused(struct mp_channel *ch, int fd, cpu_set_t mask)
{
	struct mp_handle *h = NULL;

	CHECK_IS(mp_register(ch, fd, NULL, &mask, &h), -EINVAL);
	CHECK(h == NULL);
	CHECK_IS(stats_of(ch).handles, 0);
	CHECK_IS(mp_register(ch, fd, NULL, NULL, &h), 0);
	CHECK_IS(mp_unregister(h), 0);
}

static int listen_unix(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = SYS(socket(AF_UNIX, SOCK_STREAM, 0));

	SYS(bind(fd, (struct sockaddr *)&a, sizeof(a.sun_family)));
	SYS(listen(fd, 8));
	return fd;
}

void test(void)
{
	struct mp_channel *ch = make_channel();
	int cpus[MOST_CPUS], tcp[2], udp[2], ends[2];
	cpu_set_t mask, empty, absent = cpu_mask_of(CPU_SETSIZE - 1);

	need_cpus(cpus);
	mask = cpu_mask_of(cpus[0]);
	CPU_ZERO(&empty);
	tcp_pair(tcp);
	udp_pair(udp);
	SYS(pipe(ends));
	check_refused(ch, tcp[0], mask);
	check_refused(ch, udp[0], mask);
	check_refused(ch, ends[0], mask);
	check_refused(ch, listen_unix(), mask);
	check_refused(ch, SYS(socket(AF_INET, SOCK_STREAM, 0)), mask);
	check_refused(ch, listen_tcp(AF_INET), empty);
	check_refused(ch, listen_tcp(AF_INET), absent);
	mp_destroy(ch);
}
