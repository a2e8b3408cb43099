/* SPDX-License-Identifier: MIT */
/*
 * mp_recv(), mp_read(), mp_readv() and mp_recvmsg() on one handle, in any mix,
 * keep the order of the bytes.
 */
#include <pthread.h>

#include "check.h"

#define TOTAL 200000
#define DEPTH 8

struct slot {
	char bytes[300];
	struct iovec iov[2];
	struct msghdr msg;
	size_t size;
};

static struct slot slots[DEPTH];
static unsigned int seed = 5;

static void *send_everything(void *fd)
{
	char *bytes = malloc(TOTAL);
	unsigned int dice = 9;

	fill(bytes, TOTAL, 0);
	for (size_t done = 0; done < TOTAL;) {
		size_t size = 1 + rand_r(&dice) % 500;

		size = size < TOTAL - done ? size : TOTAL - done;
		send_all(*(int *)fd, bytes + done, size);
		done += size;
	}
	free(bytes);
	SYS(shutdown(*(int *)fd, SHUT_WR));
	return NULL;
}

static void ask(struct mp_handle *h, struct slot *s)
{
	s->size = 1 + rand_r(&seed) % sizeof(s->bytes);
	s->iov[0] = (struct iovec){ s->bytes, s->size / 2 };
	s->iov[1] =
		(struct iovec){ s->bytes + s->size / 2, s->size - s->size / 2 };
	s->msg = (struct msghdr){ .msg_iov = s->iov, .msg_iovlen = 2 };
	switch (rand_r(&seed) % 4) {
	case 0:
		CHECK_IS(mp_recv(h), 0);
		break;
	case 1:
		CHECK_IS(mp_read(h, s->bytes, s->size), 0);
		break;
	case 2:
		CHECK_IS(mp_readv(h, s->iov, 2), 0);
		break;
	case 3:
		CHECK_IS(mp_recvmsg(h, &s->msg), 0);
		break;
	}
}

static void check_slot(struct mp_channel *ch, struct mp_event ev,
		       struct slot *s, uint64_t place)
{
	if (ev.cmd == MP_RECV) {
		check_filled(ev.recv.data, ev.result, place);
		CHECK_IS(mp_release(ch, &ev), 0);
	} else {
		CHECK((size_t)ev.result <= s->size);
		check_filled(s->bytes, ev.result, place);
	}
}

static uint64_t receive_everything(struct mp_channel *ch, struct mp_handle *h)
{
	uint64_t place = 0;

	for (int i = 0; i < DEPTH; i++)
		ask(h, &slots[i]);
	for (int i = 0;; i = (i + 1) % DEPTH) {
		struct mp_event ev = NEXT(ch);

		CHECK(ev.handle == h && ev.result >= 0);
		if (ev.result == 0)
			return place;
		check_slot(ch, ev, &slots[i], place);
		place += ev.result;
		ask(h, &slots[i]);
	}
}

static void check_mix(int type_of_pair)
{
	struct mp_channel *ch = make_channel_with(
		(struct mp_options){ .buffers = 16, .buffer_size = 128 });
	struct mp_handle *h;
	pthread_t sender;
	int pair[2];

	if (type_of_pair == AF_UNIX)
		unix_pair(pair, SOCK_STREAM);
	else
		tcp_pair(pair);
	h = make_handle(ch, pair[0]);
	CHECK_IS(pthread_create(&sender, NULL, send_everything, &pair[1]), 0);
	CHECK_IS(receive_everything(ch, h), TOTAL);
	CHECK_IS(pthread_join(sender, NULL), 0);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

void test(void)
{
	check_mix(AF_INET);
	check_mix(AF_UNIX);
}
