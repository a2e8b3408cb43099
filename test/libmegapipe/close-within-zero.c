/* SPDX-License-Identifier: MIT */
/*
 * Closing within no time is close(2) after non-blocking writes: what the kernel
 * takes arrives, then the end; the rest is dropped.
 */
#include "check.h"

#define SIZE (20 << 20)
#define SMALL 100
#define COUNT 50
#define MANY 1500

static struct mp_channel *ch;
static char *bytes;

/* How much came before the end, which is no reset. */
static size_t receive_rest(int fd)
{
	static char room[1 << 16];
	size_t total = 0;
	ssize_t got;

	while ((got = SYS(recv(fd, room, sizeof(room), 0))) > 0) {
		check_filled(room, got, total);
		total += got;
	}
	SYS(close(fd));
	return total;
}

static void write_small(struct mp_handle *h, int count)
{
	for (int i = 0; i < count; i++)
		CHECK_IS(mp_write(h, bytes + i * SMALL, SMALL), 0);
}

static void expect_small(struct mp_handle *h, int count)
{
	for (int i = 0; i < count; i++)
		EXPECT(ch, h, MP_WRITE, SMALL);
}

static void check_all_fits(int id, int peer)
{
	struct mp_handle *h = make_handle(ch, id);

	write_small(h, COUNT);
	CHECK_IS(mp_close_within(h, 0), 0);
	expect_small(h, COUNT);
	EXPECT(ch, h, MP_CLOSE, 0);
	CHECK_IS(receive_rest(peer), SMALL * COUNT);
}

/* The first write that would block is tried, and the last one isn't. */
static void check_rest(int id, int peer, bool is_waiting)
{
	struct mp_handle *h = make_handle(ch, id);
	size_t got;

	write_small(h, COUNT);
	CHECK_IS(mp_write(h, bytes + COUNT * SMALL, SIZE), 0);
	CHECK_IS(mp_write(h, "lost", 4), 0);
	CHECK_IS(mp_recv(h), 0);
	if (is_waiting) {
		expect_small(h, COUNT);
		EXPECT_NONE(ch);
	}
	CHECK_IS(mp_close_within(h, 0), 0);
	if (is_waiting) {
		EXPECT(ch, h, MP_RECV, -ECANCELED);
	} else {
		for (int i = 0, writes = 0; i < COUNT + 1; i++) {
			struct mp_event ev = NEXT(ch);

			CHECK_IS(ev.result,
				 ev.cmd == MP_RECV ? -ECANCELED : SMALL);
			writes += ev.cmd == MP_WRITE;
			CHECK(writes <= COUNT);
		}
	}
	EXPECT(ch, h, MP_WRITE, -ECANCELED);
	EXPECT(ch, h, MP_WRITE, -ECANCELED);
	EXPECT(ch, h, MP_CLOSE, 0);
	got = receive_rest(peer);
	CHECK(got > SMALL * COUNT && got < SMALL * COUNT + SIZE);
}

static int accepted(struct mp_handle *accepting, int client)
{
	(void)client;
	CHECK_IS(mp_accept(accepting, 1, true), 0);
	return NEXT(ch).result;
}

static void check_lwsockets(void)
{
	int listener = listen_tcp(AF_INET), client;
	struct mp_handle *accepting = make_handle(ch, listener);

	client = connect_to(listener);
	check_all_fits(accepted(accepting, client), client);
	for (int i = 0; i < 2; i++) {
		client = connect_to(listener);
		check_rest(accepted(accepting, client), client, i);
	}
	CHECK_IS(stats_of(ch).lwsockets, 0);
	CHECK_IS(mp_close(accepting), 0);
	EXPECT(ch, accepting, MP_CLOSE, 0);
}

static void check_sockets(void (*make)(int pair[2]))
{
	int pair[2];

	make(pair);
	check_all_fits(pair[0], pair[1]);
	for (int i = 0; i < 2; i++) {
		make(pair);
		check_rest(pair[0], pair[1], i);
	}
}

static void unix_stream_pair(int pair[2])
{
	unix_pair(pair, SOCK_STREAM);
}

/* More of them than completions are fetched at a time, all of many handles. */
static void check_many(void)
{
	static struct mp_handle *handles[MANY];
	static int peers[MANY];
	struct mp_channel *many =
		make_channel_with((struct mp_options){ .batch = MP_BATCH_MAX });
	int fds = open_fds(), pair[2];
	char byte;

	if (!limit_fds(2 * MANY + 100))
		return;
	for (int i = 0; i < MANY; i++) {
		unix_pair(pair, SOCK_STREAM);
		handles[i] = make_handle(many, pair[0]);
		peers[i] = pair[1];
		CHECK_IS(mp_write(handles[i], "a", 1), 0);
		CHECK_IS(mp_close_within(handles[i], 0), 0);
	}
	for (int i = 0; i < 2 * MANY; i++) {
		struct mp_event ev = NEXT(many);

		CHECK_IS(ev.result, ev.cmd == MP_WRITE);
	}
	for (int i = 0; i < MANY; i++) {
		receive_all(peers[i], &byte, 1);
		receive_end(peers[i]);
		SYS(close(peers[i]));
	}
	CHECK_IS(open_fds(), fds);
	mp_destroy(many);
}

void test(void)
{
	ch = make_channel();
	bytes = malloc(COUNT * SMALL + SIZE);
	fill(bytes, COUNT * SMALL + SIZE, 0);
	check_sockets(tcp_pair);
	check_sockets(unix_stream_pair);
	check_lwsockets();
	check_many();
	EXPECT_NONE(ch);
	CHECK_IS(stats_of(ch).handles, 0);
	mp_destroy(ch);
	free(bytes);
}
