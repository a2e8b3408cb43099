/* SPDX-License-Identifier: MIT */
/*
 * A channel's buffers are address space until they are needed: who has one
 * connection that receives again and again has the memory of a few.
 */
#include "check.h"

#define BUFFERS 1024
#define BUFFER_SIZE (16 * 1024)
#define MESSAGES (2 * BUFFERS)
#define BOUND (BUFFERS / 4 * BUFFER_SIZE)

static long resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long pages = 0;

	CHECK(file && fscanf(file, "%*d %ld", &pages) == 1);
	fclose(file);
	return pages * sysconf(_SC_PAGESIZE);
}

void test(void)
{
	struct mp_channel *ch = make_channel_with((struct mp_options){
		.buffers = BUFFERS, .buffer_size = BUFFER_SIZE });
	static char message[BUFFER_SIZE];
	struct mp_handle *h;
	long before;
	int pair[2];

	memset(message, 'x', sizeof(message));
	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	before = resident();
	for (int i = 0; i < MESSAGES; i++) {
		struct mp_event ev;

		CHECK_IS(mp_recv(h), 0);
		send_all(pair[1], message, sizeof(message));
		for (ssize_t done = 0; done < BUFFER_SIZE; done += ev.result) {
			ev = NEXT(ch);
			CHECK(ev.cmd == MP_RECV && ev.result > 0);
			CHECK_IS(mp_release(ch, &ev), 0);
			if (done + ev.result < BUFFER_SIZE)
				CHECK_IS(mp_recv(h), 0);
		}
	}
	CHECK(resident() - before < BOUND);
	mp_destroy(ch);
}
