/* SPDX-License-Identifier: MIT */
/* A TCP connection over IPv4 carries bytes both ways and ends. */
#include "check.h"

void test(void)
{
	struct mp_channel *ch = make_channel();
	int pair[2];

	tcp_pair(pair);
	check_stream(ch, pair[0], pair[1]);
	mp_destroy(ch);
}
