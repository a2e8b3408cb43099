/* SPDX-License-Identifier: MIT */
/*
 * Every kind of file: whether it can be registered, as what, and what each
 * operation answers while nothing happens to it.
 */
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <mqueue.h>
#include <net/ethernet.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "channel.h"

#define STREAM MEGAPIPE_KIND_STREAM
#define MESSAGES MEGAPIPE_KIND_MESSAGES
#define POLLABLE MEGAPIPE_KIND_POLLABLE
/* It waits, and does so until it is cancelled. */
#define WAITS (-EAGAIN)
/* What was written; the programs write eight bytes. */
#define WORKS ((int)sizeof(uint64_t))

static char path[300];

static const char *fresh_path(void)
{
	snprintf(path, sizeof(path), "%s/file", scratch_directory());
	unlink(path);
	return path;
}

/* -------------------------------------------------------------- a file each */

static int pipe_end(int which)
{
	int fds[2];

	SYS(pipe2(fds, O_CLOEXEC));
	return fds[which];
}

static int reader(void)
{
	return pipe_end(0);
}

static int writer(void)
{
	return pipe_end(1);
}

static int fifo(void)
{
	SYS(mkfifo(fresh_path(), 0600));
	return open(path, O_RDWR | O_CLOEXEC);
}

static int event_fd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static int timer_fd(void)
{
	return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
}

static int signal_fd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int pid_fd(void)
{
	return syscall(SYS_pidfd_open, getpid(), 0);
}

static int epoll_fd(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static int inotify_fd(void)
{
	return inotify_init1(IN_CLOEXEC);
}

static int fanotify_fd(void)
{
	return fanotify_init(FAN_CLOEXEC | FAN_CLASS_NOTIF, O_RDONLY);
}

/* Before UFFDIO_API it tells nothing but an error. */
static int userfault_fd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (fd >= 0)
		SYS(ioctl(fd, UFFDIO_API, &api));
	return fd;
}

static int ring_fd(void)
{
	struct io_uring_params params = { 0 };

	return syscall(SYS_io_uring_setup, 4, &params);
}

static int terminal(void)
{
	return open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
}

static int listener(void)
{
	return listen_tcp(AF_INET);
}

static int packets(void)
{
	return socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static int netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static int random_device(void)
{
	return open("/dev/random", O_RDONLY | O_CLOEXEC);
}

static int null_device(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int disk_file(void)
{
	return open(fresh_path(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static int memory_fd(void)
{
	return memfd_create("kinds", MFD_CLOEXEC);
}

static int directory(void)
{
	return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int process_status(void)
{
	return open("/proc/self/status", O_RDONLY | O_CLOEXEC);
}

/* It has poll(), and is always ready all the same. */
static int process_mounts(void)
{
	return open("/proc/self/mounts", O_RDONLY | O_CLOEXEC);
}

static int namespace(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static int message_queue(void)
{
	int fd = mq_open("/megapipe-kinds", O_RDWR | O_CREAT | O_CLOEXEC, 0600,
			 NULL);

	if (fd >= 0)
		SYS(mq_unlink("/megapipe-kinds"));
	return fd;
}

static int path_only(void)
{
	return open("/", O_PATH | O_CLOEXEC);
}

/* --------------------------------------------------------------- the table */

static const struct kind {
	const char *name;
	int (*open)(void); /* -1: not to be had here */
	int kind;	   /* or why not */
	int read, write;
} kinds[] = {
	{ "a pipe's end to read", reader, POLLABLE, WAITS, -EBADF },
	{ "a pipe's end to write", writer, POLLABLE, -EBADF, WORKS },
	{ "a FIFO", fifo, POLLABLE, WAITS, WORKS },
	{ "an eventfd", event_fd, POLLABLE, WAITS, WORKS },
	{ "a timerfd", timer_fd, POLLABLE, WAITS, -EINVAL },
	{ "a signalfd", signal_fd, POLLABLE, WAITS, -EINVAL },
	{ "a pidfd", pid_fd, POLLABLE, -EINVAL, -EINVAL },
	{ "an epoll instance", epoll_fd, POLLABLE, -EINVAL, -EINVAL },
	{ "inotify", inotify_fd, POLLABLE, WAITS, -EBADF },
	{ "fanotify", fanotify_fd, POLLABLE, WAITS, -EINVAL },
	{ "userfaultfd", userfault_fd, POLLABLE, WAITS, -EBADF },
	{ "an io_uring", ring_fd, POLLABLE, -EINVAL, -EINVAL },
	{ "a terminal", terminal, POLLABLE, WAITS, WORKS },
	{ "a random device", random_device, POLLABLE, 128, -EBADF },
	{ "a listening socket", listener, STREAM, -ENOTCONN, -EPIPE },
	{ "a packet socket", packets, MESSAGES, WAITS, -ENXIO },
	{ "a netlink socket", netlink, MESSAGES, WAITS, WORKS },
	{ "/dev/null", null_device, -EPERM, 0, 0 },
	{ "a file", disk_file, -EPERM, 0, 0 },
	{ "memory", memory_fd, -EPERM, 0, 0 },
	{ "a directory", directory, -EPERM, 0, 0 },
	{ "a process's status", process_status, -EPERM, 0, 0 },
	{ "a process's mounts", process_mounts, -EPERM, 0, 0 },
	{ "a namespace", namespace, -EPERM, 0, 0 },
	{ "a message queue", message_queue, -EPERM, 0, 0 },
	{ "a path", path_only, -EBADF, 0, 0 },
	{ "a channel", open_device, -ELOOP, 0, 0 },
};

static int ch;
static struct pool pool;

/* Of one operation while nothing happens. */
static int answer(uint32_t h, struct megapipe_command command)
{
	struct megapipe_command commands[] = {
		command,
		COMMAND(CANCEL, h, .arg = 7),
	};
	struct megapipe_completion c;
	struct megapipe_run run = {
		.commands = ADDRESS(commands),
		.ncommands = 2,
		.completions = ADDRESS(&c),
		.max = 1,
		.timeout_ns = PATIENCE_NS,
	};
	int r = try_run(ch, &run);

	/* an io_uring that was closed interrupts its thread once */
	while (r == -EINTR) {
		run.ncommands = 0;
		r = try_run(ch, &run);
	}
	if (r < 0)
		return r;
	CHECK_IS(run.stored, 1);
	return c.result == -ECANCELED ? WAITS : c.result;
}

static void check_answer(const struct kind *k, const char *operation, int got,
			 int want)
{
	if (got != want)
		fail(__FILE__, __LINE__, "%s: %s is %d, not %d", k->name,
		     operation, got, want);
}

static void check_operations(const struct kind *k, uint32_t h)
{
	static char bytes[128];
	static const uint64_t one = 1;
	static struct msghdr none;
	int in;

	in = answer(h, COMMAND(READ, h, BYTES(bytes, sizeof(bytes))));
	check_answer(k, "READ", in, k->read);
	in = answer(h, COMMAND(RECV, h));
	check_answer(k, "RECV", in, k->read);
	pool.stack->count = 0;
	give_back(&pool, 0);
	in = answer(h, COMMAND(POLL, h, .arg = POLLIN));
	check_answer(k, "POLL", in, k->read > 0 ? POLLIN : WAITS);
	in = answer(h, COMMAND(WRITE, h, BYTES(&one, sizeof(one))));
	check_answer(k, "WRITE", in, k->write);
	if (k->kind != POLLABLE)
		return;
	in = answer(h, COMMAND(RECVMSG, h, BYTES(&none, 0)));
	check_answer(k, "RECVMSG", in, -ENOTSOCK);
	in = answer(h, COMMAND(SENDMSG, h, BYTES(&none, 0)));
	check_answer(k, "SENDMSG", in, -ENOTSOCK);
	in = answer(h, COMMAND(ACCEPT, h, .len = 1));
	check_answer(k, "ACCEPT", in, -ENOTSOCK);
	in = answer(h, COMMAND(CONNECT, h));
	check_answer(k, "CONNECT", in, -ENOTSOCK);
	in = answer(h, COMMAND(DISCONNECT, h));
	check_answer(k, "DISCONNECT", in, -ENOTSOCK);
}

static void check_kind(const struct kind *k)
{
	int fd = k->open();
	struct megapipe_register reg = { .fd = fd };
	int r;

	if (fd < 0) {
		printf("%s isn't to be had: %s\n", k->name, strerror(errno));
		return;
	}
	r = try_ioctl(ch, MEGAPIPE_IOC_REGISTER, &reg);
	check_answer(k, "REGISTER", r < 0 ? r : (int)reg.kind, k->kind);
	if (r == 0) {
		check_operations(k, reg.handle);
		drop(ch, reg.handle);
	}
	SYS(close(fd));
}

void test(void)
{
	ch = new_channel();
	pool = give_buffers(ch, 1, 128);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		check_kind(&kinds[i]);
	SYS(close(ch));
}
