/* SPDX-License-Identifier: MIT */
/*
 * 10,000 connections accepted as lwsockets cost no file, dentry, inode or
 * descriptor. Accepted as descriptors they do, so the counting can be
 * trusted.
 */
#include <sys/socket.h>

#include "channel.h"
#include "machine.h"
#include "processes.h"

#define COUNT 10000
#define AS_FILES 1000
/* What else goes on in the machine may cost some. */
#define NOISE 150

struct objects {
	long files, dentries, inodes;
	int fds;
};

struct clients {
	int listener, count;
	struct bell connected;
};

static int ch;

static void connect_all(void *arg)
{
	struct clients *c = arg;

	for (int i = 0; i < c->count; i++)
		connect_to(c->listener);
	ring(c->connected);
	pause();
}

static struct objects count_objects(void)
{
	struct objects o = {
		.files = slab_objects("filp"),
		.dentries = slab_objects("dentry"),
		.inodes = slab_objects("sock_inode_cache"),
		.fds = open_fds(),
	};

	if (o.files < 0 || o.dentries < 0 || o.inodes < 0)
		skip("/proc/slabinfo does not tell files, dentries and inodes");
	return o;
}

static void accept_files(int listener, int count)
{
	for (int i = 0; i < count; i++)
		SYS(accept(listener, NULL, NULL));
}

static void accept_lwsockets(int listener, int count)
{
	uint32_t h = add(ch, listener, 1);

	ASK(ch, ACCEPT, h, .len = count);
	for (int i = 0; i < count; i++)
		CHECK(NEXT_OF(ch).result >= 0);
	drop(ch, h);
}

/* What accepting has cost, the clients' side left out. */
static struct objects cost_of(void (*accept_all)(int listener, int count),
			      int listener, int count)
{
	struct clients c = { listener, count, new_bell() };
	pid_t child = start(connect_all, &c);
	struct objects before, after;

	await(c.connected);
	wait_queued(listener, count);
	before = count_objects();
	accept_all(listener, count);
	after = count_objects();
	end(child);
	printf("%d accepted: %ld files, %ld dentries, %ld inodes, %d fds\n",
	       count, after.files - before.files,
	       after.dentries - before.dentries, after.inodes - before.inodes,
	       after.fds - before.fds);
	return (struct objects){
		.files = after.files - before.files,
		.dentries = after.dentries - before.dentries,
		.inodes = after.inodes - before.inodes,
		.fds = after.fds - before.fds,
	};
}

static int listen_deep(void)
{
	int listener;

	if (!write_text("/proc/sys/net/core/somaxconn", "16384"))
		skip("needs net.core.somaxconn of 16384: %s", strerror(errno));
	listener = listen_tcp(AF_INET);
	SYS(listen(listener, 16384));
	return listener;
}

void test(void)
{
	int listener;
	struct objects cost;

	need_root();
	if (!(features() & MEGAPIPE_FEATURE_LWSOCKET))
		skip("lwsockets have a file here");
	listener = listen_deep();
	ch = make_channel_of(COUNT);
	CHECK(limit_fds(AS_FILES + COUNT + 200));
	cost = cost_of(accept_files, listener, AS_FILES);
	CHECK_IS(cost.fds, AS_FILES);
	CHECK(cost.files > AS_FILES - NOISE);
	CHECK(cost.dentries > AS_FILES - NOISE);
	CHECK(cost.inodes > AS_FILES - NOISE);
	cost = cost_of(accept_lwsockets, listener, COUNT);
	CHECK_IS(cost.fds, 0);
	CHECK(cost.files < NOISE);
	CHECK(cost.dentries < NOISE);
	CHECK(cost.inodes < NOISE);
	CHECK_IS(stats_now(ch).lwsockets, COUNT);
	SYS(close(ch));
}
