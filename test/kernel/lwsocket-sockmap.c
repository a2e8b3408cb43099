/* SPDX-License-Identifier: MIT */
/*
 * A listener that is in a BPF sockmap: its connections work as lwsockets. So
 * does an lwsocket that is put into one through its descriptor.
 */
#include <linux/bpf.h>
#include <sys/syscall.h>

#include "channel.h"
#include "processes.h"

static int bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int new_sockmap(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_SOCKMAP,
		.key_size = 4,
		.value_size = 4,
		.max_entries = 4,
	};
	int fd = bpf(BPF_MAP_CREATE, &attr);

	if (fd < 0)
		skip("no sockmap here: %s", strerror(errno));
	return fd;
}

static void put(int map, uint32_t key, uint32_t fd)
{
	union bpf_attr attr = {
		.map_fd = map,
		.key = ADDRESS(&key),
		.value = ADDRESS(&fd),
	};

	SYS(bpf(BPF_MAP_UPDATE_ELEM, &attr));
}

static void take_out(int map, uint32_t key)
{
	union bpf_attr attr = { .map_fd = map, .key = ADDRESS(&key) };

	SYS(bpf(BPF_MAP_DELETE_ELEM, &attr));
}

static void check_in_map(int ch, uint32_t h, int client, int map)
{
	struct megapipe_fd arg = { .handle = h };
	int fd = try_ioctl(ch, MEGAPIPE_IOC_FD, &arg);
	char text[8];

	CHECK(fd >= 0);
	ASK(ch, READ, h, BYTES(text, 8));
	put(map, 1, fd);
	send_all(client, "mapped", 6);
	COMPLETES(ch, 1, READ, 6);
	check_echo(ch, h, 1, client);
	SYS(close(fd));
	check_echo(ch, h, 1, client);
	take_out(map, 1);
	check_echo(ch, h, 1, client);
	fd = try_ioctl(ch, MEGAPIPE_IOC_FD, &arg);
	if (fd >= 0) {
		put(map, 1, fd);
		SYS(close(fd));
	}
	/* it goes while it is in the map */
	drop(ch, h);
	receive_end(client);
}

void test(void)
{
	int map, ch = new_channel(), listener = listen_tcp(AF_INET), client;
	uint32_t h;

	need_root();
	map = new_sockmap();
	put(map, 0, listener);
	h = accept_lwsocket(ch, listener, &client, 1);
	check_echo(ch, h, 1, client);
	take_out(map, 0);
	check_echo(ch, h, 1, client);
	check_in_map(ch, h, client, map);
	SYS(close(ch));
}
