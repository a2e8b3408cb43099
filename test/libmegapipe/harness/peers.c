/* SPDX-License-Identifier: MIT */
/* The other side of what the library works on: plain, blocking files. */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"

static struct address loopback(int family)
{
	struct address a = { .storage.ss_family = family };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&a.storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a.storage;

	if (family == AF_INET)
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		v6->sin6_addr = in6addr_loopback;
	a.len = family == AF_INET ? sizeof(*v4) : sizeof(*v6);
	return a;
}

int listen_tcp(int family)
{
	struct address a = loopback(family);
	int fd = SYS(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));

	if (bind(fd, (struct sockaddr *)&a.storage, a.len) < 0 &&
	    errno == EADDRNOTAVAIL)
		skip("no loopback address of family %d", family);
	SYS(listen(fd, 4096));
	return fd;
}

struct address address_of(int fd)
{
	struct address a = { .len = sizeof(a.storage) };

	SYS(getsockname(fd, (struct sockaddr *)&a.storage, &a.len));
	return a;
}

int connect_to(int fd)
{
	struct address a = address_of(fd);
	int client =
		SYS(socket(a.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));

	SYS(connect(client, (struct sockaddr *)&a.storage, a.len));
	return client;
}

void wait_queued(int listener, unsigned int count)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	for (;; SYS(poll(NULL, 0, 1))) {
		SYS(getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &len));
		if (info.tcpi_unacked >= count) /* of a listener: who waits */
			return;
	}
}

void tcp_pair(int pair[2])
{
	int listener = listen_tcp(AF_INET);

	pair[1] = connect_to(listener);
	pair[0] = SYS(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	SYS(close(listener));
}

void unix_pair(int pair[2], int type)
{
	SYS(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair));
}

void udp_pair(int pair[2])
{
	struct address a = loopback(AF_INET);

	for (int i = 0; i < 2; i++) {
		pair[i] = SYS(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
		SYS(bind(pair[i], (struct sockaddr *)&a.storage, a.len));
	}
	for (int i = 0; i < 2; i++) {
		struct address other = address_of(pair[!i]);

		SYS(connect(pair[i], (struct sockaddr *)&other.storage,
			    other.len));
	}
}

void small_buffers(int pair[2])
{
	const int size = 64 << 10;

	for (int i = 0; i < 2; i++) {
		SYS(setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size,
			       sizeof(size)));
		SYS(setsockopt(pair[i], SOL_SOCKET, SO_RCVBUF, &size,
			       sizeof(size)));
	}
}

void send_all(int fd, const void *data, size_t size)
{
	for (size_t done = 0; done < size;)
		done += SYS(write(fd, (const char *)data + done, size - done));
}

void receive_all(int fd, void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		long got = SYS(read(fd, (char *)data + done, size - done));

		if (got == 0)
			fail(__FILE__, __LINE__, "it ends %zu bytes early",
			     size - done);
		done += got;
	}
}

void receive_end(int fd)
{
	char byte;

	CHECK_IS(SYS(read(fd, &byte, 1)), 0);
}

bool readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return SYS(poll(&p, 1, timeout_ms)) == 1;
}

void reset(int fd)
{
	struct linger hard = { .l_onoff = 1, .l_linger = 0 };

	SYS(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
	SYS(close(fd));
}

/* The top byte of a mixed place: neighbours and far places differ. */
static unsigned char byte_at(uint64_t place)
{
	return (place + 1) * 0x9e3779b97f4a7c15ull >> 56;
}

void fill(void *data, size_t size, uint64_t place)
{
	for (size_t i = 0; i < size; i++)
		((unsigned char *)data)[i] = byte_at(place + i);
}

void check_filled(const void *data, size_t size, uint64_t place)
{
	for (size_t i = 0; i < size; i++)
		if (((const unsigned char *)data)[i] != byte_at(place + i))
			fail(__FILE__, __LINE__, "wrong byte at %llu",
			     (unsigned long long)(place + i));
}

static char scratch[256];

static int remove_entry(const char *path, const struct stat *st, int type,
			struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void remove_scratch(void)
{
	nftw(scratch, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_directory(void)
{
	const char *above = getenv("TMPDIR");

	if (!scratch[0]) {
		snprintf(scratch, sizeof(scratch), "%s/megapipe-XXXXXX",
			 above ? above : "/tmp");
		CHECK(mkdtemp(scratch) != NULL);
		atexit(remove_scratch);
	}
	return scratch;
}

pid_t staying_child(void)
{
	pid_t child = SYS(fork());

	if (child == 0)
		SYS(prctl(PR_SET_PDEATHSIG, SIGKILL));
	while (child == 0)
		pause();
	return child;
}

void end_child(pid_t child)
{
	SYS(kill(child, SIGKILL));
	SYS(waitpid(child, NULL, 0));
}

void child_passes(pid_t child)
{
	int status;

	SYS(waitpid(child, &status, 0));
	CHECK_IS(status, 0);
}

int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = -3; /* itself, . and .. */

	CHECK(dir != NULL);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

bool limit_fds(int count)
{
	struct rlimit limit;

	SYS(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = count;
	if (limit.rlim_max < limit.rlim_cur)
		limit.rlim_max = limit.rlim_cur;
	return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

int allowed_cpus(int *cpus, int max)
{
	cpu_set_t set;
	int count = 0;

	SYS(sched_getaffinity(0, sizeof(set), &set));
	for (int cpu = 0; cpu < CPU_SETSIZE && count < max; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus[count++] = cpu;
	return count;
}

cpu_set_t cpu_mask_of(int cpu)
{
	cpu_set_t mask;

	CPU_ZERO(&mask);
	CPU_SET(cpu, &mask);
	return mask;
}

void pin_to(int cpu)
{
	cpu_set_t mask = cpu_mask_of(cpu);

	SYS(sched_setaffinity(0, sizeof(mask), &mask));
}

size_t take_some(int fd, uint64_t place)
{
	static char room[64 << 10];
	ssize_t got = recv(fd, room, sizeof(room), MSG_DONTWAIT);

	if (got < 0) {
		CHECK_IS(errno, EAGAIN);
		return 0;
	}
	check_filled(room, got, place);
	return got;
}
