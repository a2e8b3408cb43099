/* SPDX-License-Identifier: MIT */
/*
 * Two users: what one does, up to processes that are stuck in the midst of an
 * operation, the other doesn't notice. Memory of which a fault is never
 * answered (userfaultfd) holds processes up where they copy.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "channel.h"
#include "machine.h"
#include "processes.h"

#define HOSTILE 4711
#define WORKER 4712
#define MANY 100
#define ROUNDS 100

static struct bell begun;

/* A page that nobody ever gives: who touches it waits till he is killed. */
static void *endless_page(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register all = {
		.range = { (uintptr_t)page, 4096 },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = SYS(syscall(SYS_userfaultfd, O_CLOEXEC));

	CHECK(page != MAP_FAILED);
	SYS(ioctl(fd, UFFDIO_API, &api));
	SYS(ioctl(fd, UFFDIO_REGISTER, &all));
	return page;
}

/* ------------------------------------------------------ who means no good */

/* The socket's lock is held meanwhile. */
static void stuck_in_write(void *arg)
{
	int ch = new_channel(), pair[2];
	uint32_t h;

	(void)arg;
	tcp_pair(pair);
	h = add(ch, pair[0], 1);
	ring(begun);
	TRY(ch, WRITE, h, BYTES(endless_page(), 4096));
}

static void stuck_in_completions(void *arg)
{
	int ch = new_channel();
	const uint64_t one = 1;
	struct megapipe_command command;
	struct megapipe_run run = {
		.commands = ADDRESS(&command),
		.ncommands = 1,
		.completions = ADDRESS(endless_page()),
		.max = 1,
		.timeout_ns = PATIENCE_NS,
	};

	(void)arg;
	command = COMMAND(WRITE, add(ch, SYS(eventfd(0, EFD_CLOEXEC)), 1),
			  BYTES(&one, sizeof(one)));
	ring(begun);
	try_run(ch, &run);
}

static void stuck_in_send(void *arg)
{
	void *page = endless_page();

	ring(begun);
	send(*(int *)arg, page, 4096, 0);
}

/* Another process has the socket's lock when the channel's own is killed. */
static void stuck_beside(void *arg)
{
	int ch = new_channel(), client, shared;
	struct megapipe_fd fd = {
		.handle = accept_lwsocket(ch, *(int *)arg, &client, 1),
	};

	shared = try_ioctl(ch, MEGAPIPE_IOC_FD, &fd);
	CHECK(shared >= 0);
	start(stuck_in_send, &shared);
	pause();
}

/* Channels full of handles, which end with their process, one by one. */
static void many_at_once(void *arg)
{
	int ch = new_channel(), fd = SYS(eventfd(0, EFD_CLOEXEC));
	static uint64_t count;
	uint32_t h;

	(void)arg;
	for (int i = 0; i < MANY && try_add(ch, fd, i, &h) == 0; i++)
		ASK(ch, READ, h, BYTES(&count, sizeof(count)));
}

static void many_again(void *arg)
{
	ring(begun);
	for (;;)
		in_child(many_at_once, arg);
}

static void (*const hostile[])(void *) = {
	stuck_in_write,
	stuck_in_completions,
	stuck_beside,
	many_again,
};

#define HOSTILES (sizeof(hostile) / sizeof(*hostile))

struct scene {
	void (*run)(void *);
	int listener;
};

static void be_hostile(void *arg)
{
	struct scene *s = arg;

	become(HOSTILE);
	s->run(&s->listener);
}

/* ---------------------------------------------------------- and who works */

static void work(void *arg)
{
	int ch, client;
	uint32_t h;

	become(WORKER);
	ch = new_channel();
	h = accept_lwsocket(ch, *(int *)arg, &client, 1);
	for (int i = 0; i < ROUNDS; i++) {
		check_echo(ch, h, 1, client);
		/* others come and go, too */
		if (i % 20 == 0)
			SYS(close(new_channel()));
	}
	drop(ch, h);
	receive_end(client);
	SYS(close(ch));
}

void test(void)
{
	int theirs = listen_tcp(AF_INET), ours = listen_tcp(AF_INET);
	pid_t children[HOSTILES];

	need_root();
	SYS(chmod(MEGAPIPE_DEVICE, 0666));
	if (!write_text("/proc/sys/vm/unprivileged_userfaultfd", "1"))
		skip("this kernel has no userfaultfd");
	begun = new_bell();
	for (size_t i = 0; i < HOSTILES; i++) {
		children[i] = start(be_hostile,
				    &(struct scene){ hostile[i], theirs });
		await(begun);
	}
	in_child(work, &ours);
	/* its channel's end doesn't wait for who has the socket's lock */
	for (size_t i = 0; i < HOSTILES; i++)
		end(children[i]);
	in_child(work, &ours);
	await_module_users(0);
}
