// SPDX-License-Identifier: MIT
/*
 * Does the kernel steer connections by SO_INCOMING_CPU? Within a group of
 * SO_REUSEPORT it honours that from 6.2 and in later 6.1 stable releases; older
 * ones ignore it silently. So it is tried out, until there is an answer: that
 * descriptors are short or a firewall drops the attempt is none.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>

#include "engine.h"

/* Sockets of another CPU, and connections: by chance, 1 in 8^8 goes right. */
#define DECOYS 7
#define OURS DECOYS
#define SOCKETS (DECOYS + 1)
#define TRIES 8
/* Loopback is there at once, or something is in its way. */
#define PATIENCE_MS 1000
#define ATTEMPTS 2

enum { UNKNOWN, WORKS, MISSING };

static atomic_int answer = UNKNOWN;

/* What a system call has returned for which fork() waits. */
static int own(int fd)
{
	int error = errno;

	if (fd >= 0)
		mp__fd_own(fd);
	mp__fds_let(NULL);
	return fd < 0 ? -error : fd;
}

static int socket_new(void)
{
	mp__fds_hold(NULL);
	return own(
		socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

static int join_group(int fd, struct sockaddr_in *addr, int cpu)
{
	socklen_t len = sizeof(*addr);
	int one = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_INCOMING_CPU, &cpu, sizeof(cpu)) ||
	    bind(fd, (struct sockaddr *)addr, len) || listen(fd, TRIES) ||
	    getsockname(fd, (struct sockaddr *)addr, &len))
		return -errno;
	return 0;
}

/* Decoys wait for a CPU that this thread isn't on. */
static int make_group(struct pollfd group[SOCKETS], struct sockaddr_in *addr,
		      int cpu)
{
	int ret = 0;

	for (int i = 0; i < SOCKETS && !ret; i++) {
		group[i].fd = socket_new();
		ret = group[i].fd < 0 ? group[i].fd :
					join_group(group[i].fd, addr,
						   i == OURS ? cpu : cpu + 1);
	}
	return ret;
}

static int await(struct pollfd *fds, int count)
{
	int n;

	do
		n = poll(fds, count, PATIENCE_MS);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

static int connect_soon(int fd, const struct sockaddr_in *addr)
{
	struct pollfd connecting = { .fd = fd, .events = POLLOUT };
	int error = 0, ret;
	socklen_t len = sizeof(error);

	if (!connect(fd, (const struct sockaddr *)addr, sizeof(*addr)))
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	ret = await(&connecting, 1);
	if (!ret && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len))
		ret = -errno;
	return ret ? ret : -error;
}

/* 1: at ours, 0: at a decoy. */
static int take_where_it_is(struct pollfd group[SOCKETS])
{
	int ret = await(group, SOCKETS), fd;

	if (ret)
		return ret;
	for (int i = 0; i < SOCKETS; i++) {
		if (!group[i].revents)
			continue;
		mp__fds_hold(NULL);
		fd = own(accept4(group[i].fd, NULL, NULL, SOCK_CLOEXEC));
		if (fd < 0)
			return fd;
		mp__fd_close(NULL, fd);
		return i == OURS;
	}
	return -EAGAIN;
}

static int arrives(struct pollfd group[SOCKETS], const struct sockaddr_in *addr)
{
	int fd = socket_new();
	int ret = fd < 0 ? fd : connect_soon(fd, addr);

	if (!ret)
		ret = take_where_it_is(group);
	if (fd >= 0)
		mp__fd_close(NULL, fd);
	return ret;
}

/* 1: each connection came to the one socket of our CPU, 0: one didn't. */
static int try_on(int cpu)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct pollfd group[SOCKETS];
	int ret;

	for (int i = 0; i < SOCKETS; i++)
		group[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	ret = make_group(group, &addr, cpu);
	for (int i = 0; i < TRIES && ret >= 0; i++) {
		ret = arrives(group, &addr);
		if (!ret)
			break;
	}
	for (int i = 0; i < SOCKETS; i++)
		if (group[i].fd >= 0)
			mp__fd_close(NULL, group[i].fd);
	return ret;
}

static int try_here(void)
{
	cpu_set_t before, one;
	int cpu = sched_getcpu(), ret;

	if (cpu < 0 || sched_getaffinity(0, sizeof(before), &before))
		return -errno;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		return -errno;
	ret = try_on(cpu);
	sched_setaffinity(0, sizeof(before), &before);
	return ret;
}

/*
 * 0: it does, -EOPNOTSUPP: it doesn't; else why that can't be found out now.
 * Several threads may be trying: they come to the same answer.
 */
int mp__steering(void)
{
	int ret = mp__fork_watch();

	if (ret)
		return ret;
	ret = -EAGAIN;
	for (int i = 0; i < ATTEMPTS && answer == UNKNOWN; i++) {
		ret = try_here();
		if (ret >= 0)
			answer = ret ? WORKS : MISSING;
	}
	if (answer == UNKNOWN)
		return ret;
	return answer == WORKS ? 0 : -EOPNOTSUPP;
}
