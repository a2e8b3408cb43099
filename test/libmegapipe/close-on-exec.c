/* SPDX-License-Identifier: MIT */
/* Nothing that the library opens is handed on to a program that is executed. */
#include <fcntl.h>

#include "servers.h"

#define HIGHEST 200

static void check_new_fds(const bool before[HIGHEST])
{
	for (int fd = 0; fd < HIGHEST; fd++)
		if (!before[fd] && is_open(fd))
			CHECK(SYS(fcntl(fd, F_GETFD)) & FD_CLOEXEC);
}

static void remember_fds(bool open[HIGHEST])
{
	for (int fd = 0; fd < HIGHEST; fd++)
		open[fd] = is_open(fd);
}

static void accept_both_kinds(struct mp_channel *ch, int listener)
{
	struct mp_handle *h;
	cpu_set_t mask;
	int cpu;

	CHECK_IS(allowed_cpus(&cpu, 1), 1);
	mask = cpu_mask_of(cpu);
	CHECK_IS(mp_register(ch, listener, NULL,
			     engine_has("partition") ? &mask : NULL, &h),
		 0);
	for (int kind = 0; kind < 2; kind++) {
		CHECK_IS(mp_accept(h, 0, kind), 0);
		EXPECT_NONE(ch); /* accepting has stopped */
		CHECK_IS(mp_accept(h, 1, kind), 0);
		connect_to(listener);
		make_handle(ch, NEXT(ch).result);
	}
}

void test(void)
{
	int listener = listen_tcp(AF_INET);
	bool before[HIGHEST];
	struct mp_channel *ch;

	remember_fds(before);
	ch = make_channel();
	accept_both_kinds(ch, listener);
	check_new_fds(before);
	mp_destroy(ch);
}
