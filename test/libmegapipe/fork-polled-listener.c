/* SPDX-License-Identifier: MIT */
/*
 * A completion that tells that a listening socket is ready is no descriptor: a
 * child keeps the one of that number.
 */
#include <poll.h>

#include "check.h"

void test(void)
{
	struct mp_channel *ch = make_channel();
	int listener = listen_tcp(AF_INET), client, cpu;
	struct mp_handle *h;
	struct mp_event ev;
	cpu_set_t mask;
	pid_t child;

	if (!engine_has("partition"))
		skip("this kernel can't steer connections by CPU");
	CHECK_IS(allowed_cpus(&cpu, 1), 1);
	CPU_ZERO(&mask);
	CPU_SET(cpu, &mask);
	CHECK_IS(mp_register(ch, listener, NULL, &mask, &h), 0);
	pin_to(cpu);
	client = connect_to(listener);
	/* of several queues, so that the engine asks which has a connection */
	CHECK_IS(mp_accept(h, 1, false), 0);
	CHECK_IS(mp_flush(ch), 0);
	SYS(dup2(STDERR_FILENO, POLLIN));
	child = SYS(fork());
	if (child == 0) {
		CHECK(is_open(POLLIN));
		_exit(0);
	}
	child_passes(child);
	ev = NEXT(ch);
	CHECK(ev.cmd == MP_ACCEPT && ev.result >= 0);
	SYS(close(ev.result));
	SYS(close(client));
	mp_destroy(ch);
	SYS(close(listener));
}
