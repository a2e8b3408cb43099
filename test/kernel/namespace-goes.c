/* SPDX-License-Identifier: MIT */
/*
 * Lwsockets of a network namespace keep it, as sockets do; with the last of
 * them it goes. Nothing is left, whether channel or namespace goes first.
 */
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "channel.h"
#include "machine.h"
#include "processes.h"

#define ROUNDS 10
#define COUNT 20

static void enter_new_namespace(void)
{
	struct ifreq request = { .ifr_name = "lo",
				 .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		skip("no network namespace can be made: %s", strerror(errno));
	fd = SYS(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	SYS(ioctl(fd, SIOCSIFFLAGS, &request));
	SYS(close(fd));
}

/* Lwsockets with operations in flight, and the ends of their clients. */
static void make_lwsockets(int ch, uint32_t *handles, int *clients)
{
	static char text[COUNT][8];
	int listener = listen_tcp(AF_INET);

	for (int i = 0; i < COUNT; i++) {
		handles[i] = accept_lwsocket(ch, listener, &clients[i], i);
		ASK(ch, READ, handles[i], BYTES(text[i], 8));
	}
	SYS(close(listener));
}

/* A process ends, and channel and namespace with it. */
static void end_together(void *arg)
{
	uint32_t handles[COUNT];
	int clients[COUNT];

	(void)arg;
	enter_new_namespace();
	make_lwsockets(new_channel(), handles, clients);
}

/* All leave the namespace, and lwsockets in it still work. */
static void leave(void *arg)
{
	int home = SYS(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
	int ch = new_channel(), clients[COUNT];
	uint32_t handles[COUNT];

	(void)arg;
	enter_new_namespace();
	make_lwsockets(ch, handles, clients);
	SYS(setns(home, CLONE_NEWNET));
	for (int i = 0; i < COUNT; i++) {
		send_all(clients[i], "x", 1);
		COMPLETES(ch, i, READ, 1);
		/* the lwsockets are the last in it, or the clients are */
		if (i % 2)
			SYS(close(clients[i]));
	}
	for (int i = 0; i < COUNT; i++) {
		ASK(ch, CLOSE, handles[i], .arg = -1);
		COMPLETES(ch, i, CLOSE, 0);
	}
	check_usable(ch);
	SYS(close(ch));
}

void test(void)
{
	long before = slab_objects("net_namespace");

	need_root();
	for (int i = 0; i < ROUNDS; i++) {
		in_child(end_together, NULL);
		in_child(leave, NULL);
	}
	await_module_users(0);
	/* They are taken down by and by; the kernel keeps some for itself. */
	while (slab_objects("net_namespace") > before + ROUNDS / 2)
		poll(NULL, 0, 50);
}
