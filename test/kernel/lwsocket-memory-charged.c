/* SPDX-License-Identifier: MIT */
/*
 * The memory of lwsockets, and of what they have received, is charged to the
 * control group of the process that accepts them.
 */
#include <sys/stat.h>

#include "channel.h"
#include "machine.h"
#include "processes.h"

#define COUNT 2000
#define UNREAD 16000

static char group[] = "/sys/fs/cgroup/megapipe-charged";

struct clients {
	int listener;
	struct bell connected, may_send, sent;
};

static void be_clients(void *arg)
{
	static int fds[COUNT];
	static char bytes[UNREAD];
	struct clients *c = arg;

	CHECK(limit_fds(COUNT + 100));
	for (int i = 0; i < COUNT; i++)
		fds[i] = connect_to(c->listener);
	ring(c->connected);
	await(c->may_send);
	for (int i = 0; i < COUNT; i++)
		send_all(fds[i], bytes, UNREAD);
	ring(c->sent);
	pause();
}

static long stat_of(const char *name)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/memory.stat", group);
	return number_in(path, name);
}

static void enter_group(void)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	if (mkdir(group, 0755) < 0 && errno != EEXIST)
		skip("no control group can be made: %s", strerror(errno));
	if (stat_of("sock") < 0)
		skip("control groups don't count memory here");
	CHECK(write_text(path, "0"));
}

static void be_server(void *arg)
{
	struct clients *c = arg;
	int ch = make_channel_of(COUNT);
	uint32_t h = add(ch, c->listener, 1);
	long kernel, sock;

	enter_group();
	kernel = stat_of("kernel");
	sock = stat_of("sock");
	ASK(ch, ACCEPT, h, .len = COUNT);
	for (int i = 0; i < COUNT; i++)
		CHECK(NEXT_OF(ch).result >= 0);
	ring(c->may_send);
	await(c->sent);
	/* a handle is some hundreds of bytes */
	printf("kernel %ld, sock %ld\n", stat_of("kernel") - kernel,
	       stat_of("sock") - sock);
	CHECK(stat_of("kernel") - kernel > COUNT * 200l);
	CHECK(stat_of("sock") - sock > COUNT * (long)UNREAD / 2);
	SYS(close(ch));
	CHECK(stat_of("sock") - sock < COUNT * (long)UNREAD / 10);
}

void test(void)
{
	struct clients c = { listen_tcp(AF_INET), new_bell(), new_bell(),
			     new_bell() };
	pid_t clients;

	need_root();
	clients = start(be_clients, &c);
	await(c.connected);
	wait_queued(c.listener, COUNT);
	in_child(be_server, &c);
	end(clients);
	SYS(rmdir(group));
}
