// SPDX-License-Identifier: MIT
/*
 * Partitioned listening sockets (paper, section 3.4.1) from user space: a
 * clone of the listening socket for each CPU of a mask, in one SO_REUSEPORT
 * group, each tied to its CPU with SO_INCOMING_CPU. The kernel then picks the
 * clone of the CPU that processes the SYN. SO_REUSEPORT alone would pick by
 * hash, which brings no affinity.
 *
 * The socket itself stays in the group, and has connections from before. Every
 * handle accepts from it too, so that none of them is left waiting. But one
 * that was tied to a CPU of the mask already is that CPU's queue by itself:
 * then somebody else made the group, and keeps its queues when we end.
 *
 * Whether the kernel does so is found out in steering.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"

/* CPUs that handles of this process have claimed, by listening socket. */
struct claim {
	LIST_ENTRY(claim) link;
	uint64_t group;
	cpu_set_t cpus;
};

/* Recursive: a handler of a signal may fork wherever it happens. */
static pthread_mutex_t claims_lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static LIST_HEAD(, claim) claims = LIST_HEAD_INITIALIZER(claims);

static int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) ? -errno : 0;
}

/* --------------------------------------------------------------- claims */

static bool overlaps(uint64_t group, const cpu_set_t *cpus)
{
	cpu_set_t both;
	struct claim *c;

	LIST_FOREACH (c, &claims, link) {
		CPU_AND(&both, &c->cpus, cpus);
		if (c->group == group && CPU_COUNT(&both))
			return true;
	}
	return false;
}

static struct claim *find_claim(uint64_t group, const cpu_set_t *cpus)
{
	struct claim *c;

	LIST_FOREACH (c, &claims, link)
		if (c->group == group && CPU_EQUAL(&c->cpus, cpus))
			return c;
	return NULL;
}

static int claim(uint64_t group, const cpu_set_t *cpus)
{
	struct claim *c = malloc(sizeof(*c));
	int ret = 0;

	if (!c)
		return -ENOMEM;
	c->group = group;
	c->cpus = *cpus;
	pthread_mutex_lock(&claims_lock);
	if (overlaps(group, cpus)) {
		ret = -EBUSY;
		free(c);
	} else {
		LIST_INSERT_HEAD(&claims, c, link);
	}
	pthread_mutex_unlock(&claims_lock);
	return ret;
}

static void unclaim(uint64_t group, const cpu_set_t *cpus)
{
	struct claim *c;

	pthread_mutex_lock(&claims_lock);
	c = find_claim(group, cpus);
	if (c)
		LIST_REMOVE(c, link);
	pthread_mutex_unlock(&claims_lock);
	free(c);
}

/* The holder of some CPUs holds others instead. */
static int reclaim(uint64_t group, cpu_set_t *held, const cpu_set_t *cpus)
{
	cpu_set_t more;
	int ret = 0;

	CPU_XOR(&more, held, cpus);
	CPU_AND(&more, &more, cpus);
	pthread_mutex_lock(&claims_lock);
	if (overlaps(group, &more)) {
		ret = -EBUSY;
	} else {
		find_claim(group, held)->cpus = *cpus;
		*held = *cpus;
	}
	pthread_mutex_unlock(&claims_lock);
	return ret;
}

static void forget_claims(void)
{
	struct claim *c;

	while ((c = LIST_FIRST(&claims))) {
		LIST_REMOVE(c, link);
		free(c);
	}
}

/* The handles are the parent's, and so is the lock. */
void mp__partition_fork(enum mp__fork when)
{
	if (when == MP__BEFORE_FORK) {
		pthread_mutex_lock(&claims_lock);
	} else if (when == MP__IN_PARENT) {
		pthread_mutex_unlock(&claims_lock);
	} else {
		forget_claims();
		claims_lock =
			(pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
	}
}

/* --------------------------------------------------------------- clones */

/* Of a listening socket, tcpi_sacked is the longest its queue may get. */
static unsigned int backlog_of(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) ||
	    !info.tcpi_sacked)
		return SOMAXCONN;
	return info.tcpi_sacked;
}

/* What connections inherit from the socket they are accepted from. */
static const struct {
	int level;
	int name;
} inherited[] = {
	{ SOL_SOCKET, SO_REUSEADDR },
	{ SOL_SOCKET, SO_KEEPALIVE },
	{ SOL_SOCKET, SO_LINGER },
	{ SOL_SOCKET, SO_OOBINLINE },
	{ SOL_SOCKET, SO_PRIORITY },
	{ SOL_SOCKET, SO_RCVLOWAT },
	{ SOL_SOCKET, SO_MARK },
	{ SOL_SOCKET, SO_BUSY_POLL },
	{ SOL_SOCKET, SO_BINDTODEVICE },
	{ SOL_SOCKET, SO_RCVTIMEO },
	{ SOL_SOCKET, SO_SNDTIMEO },
	{ IPPROTO_IP, IP_TOS },
	{ IPPROTO_IP, IP_TTL },
	{ IPPROTO_IP, IP_FREEBIND },
	{ IPPROTO_IP, IP_TRANSPARENT },
	{ IPPROTO_IPV6, IPV6_V6ONLY },
	{ IPPROTO_IPV6, IPV6_TCLASS },
	{ IPPROTO_TCP, TCP_NODELAY },
	{ IPPROTO_TCP, TCP_MAXSEG },
	{ IPPROTO_TCP, TCP_KEEPIDLE },
	{ IPPROTO_TCP, TCP_KEEPINTVL },
	{ IPPROTO_TCP, TCP_KEEPCNT },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT },
	{ IPPROTO_TCP, TCP_QUICKACK },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT },
	{ IPPROTO_TCP, TCP_CONGESTION },
	{ IPPROTO_TCP, TCP_FASTOPEN },
	{ IPPROTO_TCP, TCP_NOTSENT_LOWAT },
};

/* The kernel reports twice what was asked for. */
static void copy_buffer_size(int from, int to, int name)
{
	int size, standard;
	socklen_t len = sizeof(size);

	if (getsockopt(from, SOL_SOCKET, name, &size, &len) ||
	    getsockopt(to, SOL_SOCKET, name, &standard, &len) ||
	    size == standard)
		return;
	set_int(to, SOL_SOCKET, name, size / 2);
}

static bool equal_option(int a, int b, int level, int name)
{
	char left[64] = { 0 }, right[64] = { 0 };
	socklen_t left_len = sizeof(left), right_len = sizeof(right);

	return getsockopt(a, level, name, left, &left_len) ||
	       (!getsockopt(b, level, name, right, &right_len) &&
		left_len == right_len && !memcmp(left, right, left_len));
}

/* Only what differs: some options have no "as it was" to be set to. */
static void copy_options(int from, int to)
{
	char value[64];

	for (size_t i = 0; i < sizeof(inherited) / sizeof(inherited[0]); i++) {
		int level = inherited[i].level, name = inherited[i].name;
		socklen_t len = sizeof(value);

		if (!equal_option(from, to, level, name) &&
		    !getsockopt(from, level, name, value, &len))
			setsockopt(to, level, name, value, len);
	}
	copy_buffer_size(from, to, SO_RCVBUF);
	copy_buffer_size(from, to, SO_SNDBUF);
}

static int clone_of(struct mp_channel *ch, int from, int cpu,
		    unsigned int backlog)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	int domain, protocol, fd, ret;
	socklen_t int_len = sizeof(domain);

	if (getsockname(from, (struct sockaddr *)&addr, &len) ||
	    getsockopt(from, SOL_SOCKET, SO_DOMAIN, &domain, &int_len) ||
	    getsockopt(from, SOL_SOCKET, SO_PROTOCOL, &protocol, &int_len))
		return -errno;
	mp__fds_hold(ch);
	fd = socket(domain, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    protocol);
	if (fd >= 0)
		mp__fd_own(fd);
	mp__fds_let(ch);
	if (fd < 0)
		return -errno;
	copy_options(from, fd);
	ret = set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!ret)
		ret = set_int(fd, SOL_SOCKET, SO_INCOMING_CPU, cpu);
	if (!ret &&
	    (bind(fd, (struct sockaddr *)&addr, len) || listen(fd, backlog)))
		ret = -errno;
	if (ret)
		mp__fd_close(ch, fd);
	return ret ? ret : fd;
}

/* They stay where they are: the engine knows them by address. */
struct mp__queue *mp__queue_add(struct mp_handle *handle, int fd)
{
	struct mp__listener *l = handle->listener;
	struct mp__queue **grown = reallocarray(l->queues, l->nqueues + 1,
						sizeof(struct mp__queue *));
	struct mp__queue *q;

	if (!grown)
		return NULL;
	l->queues = grown;
	q = mp__tagged_new(sizeof(*q));
	if (!q)
		return NULL;
	q->handle = handle;
	q->fd = fd;
	q->index = l->nqueues;
	q->cpu = -1;
	q->is_clone = q->is_own = fd != handle->fd;
	l->queues[l->nqueues++] = q;
	return q;
}

void mp__queues_free(struct mp__listener *l)
{
	for (unsigned int i = 0; i < l->nqueues; i++)
		free(l->queues[i]);
	free(l->queues);
	free(l->foreign);
}

/* The CPU that the socket is tied to within a group, or -1. */
static int own_cpu(int fd)
{
	int reuseport = 0, cpu = -1;
	socklen_t len = sizeof(cpu);

	if (getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &reuseport, &len) ||
	    !reuseport ||
	    getsockopt(fd, SOL_SOCKET, SO_INCOMING_CPU, &cpu, &len))
		return -1;
	return cpu;
}

/* With cpu -1 it gets what the kernel's hash brings. */
static int add_clone(struct mp_handle *handle, int cpu)
{
	int fd = clone_of(handle->ch, handle->fd, cpu, backlog_of(handle->fd));
	struct mp__queue *q;

	if (fd < 0)
		return fd;
	q = mp__queue_add(handle, fd);
	if (!q) {
		mp__fd_close(handle->ch, fd);
		return -ENOMEM;
	}
	q->cpu = cpu;
	mp__balance_share(q);
	return 0;
}

static int spawn(struct mp_handle *handle, const cpu_set_t *cpus)
{
	int own = own_cpu(handle->fd), ret;
	struct mp__queue *q;

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, cpus) || cpu == own)
			continue;
		ret = add_clone(handle, cpu);
		if (ret)
			return ret;
	}
	q = mp__queue_add(handle, handle->fd);
	if (!q)
		return -ENOMEM;
	if (own >= 0 && CPU_ISSET(own, cpus)) {
		q->is_own = true;
		q->cpu = own;
	}
	return 0;
}

static int is_tcp(int fd)
{
	int domain = 0, protocol = 0;
	socklen_t len = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) ||
	    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len))
		return -errno;
	return (domain == AF_INET || domain == AF_INET6) &&
	       protocol == IPPROTO_TCP;
}

/* Which CPUs there are, offline ones aside: others never see a SYN. */
static int existing(const cpu_set_t *mask, cpu_set_t *cpus)
{
	long n = sysconf(_SC_NPROCESSORS_CONF);

	CPU_ZERO(cpus);
	for (int cpu = 0; cpu < n && cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, mask))
			CPU_SET(cpu, cpus);
	return CPU_COUNT(cpus);
}

int mp__partition(struct mp_handle *handle, const cpu_set_t *cpu_mask)
{
	struct mp__listener *l = handle->listener;
	uint64_t group;
	socklen_t len = sizeof(group);
	cpu_set_t cpus;
	int ret = is_tcp(handle->fd);

	if (ret <= 0)
		return ret ? ret : -EINVAL;
	if (!existing(cpu_mask, &cpus))
		return -EINVAL;
	ret = mp__steering();
	if (ret)
		return ret;
	if (getsockopt(handle->fd, SOL_SOCKET, SO_COOKIE, &group, &len))
		return -errno;
	/* The group begins with the socket that is cloned. */
	ret = set_int(handle->fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!ret)
		ret = claim(group, &cpus);
	if (ret)
		return ret;
	l->group = group;
	l->claim = cpus;
	ret = spawn(handle, &cpus);
	if (ret)
		mp__partition_end(l);
	return ret;
}

/* --------------------------------------------------------- another mask */

/*
 * Queues are moved from CPU to CPU and none is closed: what waits in them is
 * accepted as ever. One that is left over gets no CPU, and with it only what
 * the kernel's hash brings from CPUs that nobody has.
 */
static bool can_move(const struct mp__queue *q, const cpu_set_t *cpus)
{
	return q->is_own && (q->cpu < 0 || !CPU_ISSET(q->cpu, cpus));
}

static struct mp__queue *queue_of(const struct mp__listener *l, int cpu)
{
	for (unsigned int i = 0; i < l->nqueues; i++)
		if (l->queues[i]->is_own && l->queues[i]->cpu == cpu)
			return l->queues[i];
	return NULL;
}

/* As many queues as there are CPUs; a few too many do no harm. */
static int add_missing(struct mp_handle *handle, int count)
{
	struct mp__listener *l = handle->listener;
	int ret = 0;

	for (unsigned int i = 0; i < l->nqueues; i++)
		count -= l->queues[i]->is_own;
	for (; count > 0 && !ret; count--) {
		ret = add_clone(handle, -1);
		if (!ret)
			mp__queue_join(l->queues[l->nqueues - 1]);
	}
	return ret;
}

static int tie(struct mp__queue *q, int cpu)
{
	int ret = q->cpu == cpu ?
			  0 :
			  set_int(q->fd, SOL_SOCKET, SO_INCOMING_CPU, cpu);

	if (!ret)
		q->cpu = cpu;
	return ret;
}

static int move_to(struct mp__listener *l, const cpu_set_t *cpus, int cpu)
{
	for (unsigned int i = 0; i < l->nqueues; i++)
		if (can_move(l->queues[i], cpus))
			return tie(l->queues[i], cpu);
	return -EINVAL; /* there are as many as CPUs */
}

static int move_all(struct mp__listener *l, const cpu_set_t *cpus)
{
	int ret = 0;

	for (int cpu = 0; cpu < CPU_SETSIZE && !ret; cpu++)
		if (CPU_ISSET(cpu, cpus) && !queue_of(l, cpu))
			ret = move_to(l, cpus, cpu);
	for (unsigned int i = 0; i < l->nqueues && !ret; i++)
		if (can_move(l->queues[i], cpus))
			ret = tie(l->queues[i], -1);
	return ret;
}

int mp_set_cpu_mask(struct mp_handle *handle, const cpu_set_t *cpu_mask)
{
	struct mp__listener *l;
	cpu_set_t cpus, before, both;
	int ret = mp__check(handle);

	if (ret)
		return ret;
	l = handle->listener;
	if (!cpu_mask || !l || !l->group ||
	    (!existing(cpu_mask, &cpus) && CPU_COUNT(cpu_mask)))
		return -EINVAL;
	before = l->claim;
	CPU_OR(&both, &before, &cpus);
	ret = reclaim(l->group, &l->claim, &both);
	if (ret)
		return ret;
	ret = add_missing(handle, CPU_COUNT(&cpus));
	if (!ret)
		ret = move_all(l, &cpus);
	if (ret)
		move_all(l, &before);
	/* only now others may have what it gives up */
	reclaim(l->group, &l->claim, ret ? &before : &cpus);
	return ret ? ret : mp__push(handle->ch);
}

/* ------------------------------------------------------------------- end */

void mp__partition_end(struct mp__listener *l)
{
	mp__balance_unshare(l);
	for (unsigned int i = 0; i < l->nqueues; i++)
		if (l->queues[i]->is_clone)
			mp__fd_close(l->queues[i]->handle->ch,
				     l->queues[i]->fd);
	if (l->group)
		unclaim(l->group, &l->claim);
	l->group = 0;
}
