/* SPDX-License-Identifier: MIT */
/*
 * The thread of a channel leaves the table of descriptors it had, and somebody
 * else closes that; or another process, that shares the table, closes a
 * duplicate. The channel goes on: it is open, and its process lives.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "channel.h"
#include "machine.h"

#define ROUNDS 60

static int ch;
static pthread_barrier_t barrier;
static char stack[1 << 18] __attribute__((aligned(16)));

/* Works on the channel for a while. */
static void work(uint32_t h, int peer)
{
	struct megapipe_completion got[4];
	char text[64];

	for (int i = 0; i < 200; i++) {
		struct megapipe_command commands[] = {
			COMMAND(READ, h, BYTES(text, sizeof(text))),
			COMMAND(POLL, h, .arg = POLLRDHUP),
			COMMAND(WRITE, h, BYTES("ping", 4)),
		};
		struct megapipe_run run = {
			.commands = ADDRESS(commands),
			.ncommands = 3,
			.completions = ADDRESS(got),
			.max = 4,
			.timeout_ns = 100000,
			.min = 4,
			.min_wait_ns = 100000,
		};

		send_all(peer, "x", 1);
		/* what is in flight yet is -EBUSY */
		CHECK(try_run(ch, &run) != -ESHUTDOWN);
		(void)!recv(peer, text, sizeof(text), MSG_DONTWAIT);
	}
}

/* A thread whose table of descriptors is the last of its kind when it ends. */
static void *end_soon(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void *unshare_and_work(void *arg)
{
	int listener = listen_tcp(AF_INET), client;
	pthread_t other;
	uint32_t h;

	(void)arg;
	/* a table for this thread and the next one, apart from main's */
	SYS(unshare(CLONE_FILES));
	CHECK_IS(pthread_create(&other, NULL, end_soon, NULL), 0);
	ch = new_channel();
	h = accept_lwsocket(ch, listener, &client, 1);
	SYS(unshare(CLONE_FILES));
	pthread_barrier_wait(&barrier);
	work(h, client);
	CHECK_IS(pthread_join(other, NULL), 0);
	SYS(close(ch));
	SYS(close(client));
	SYS(close(listener));
	return NULL;
}

/* Another process with the same table and memory of its own. */
static int close_it(void *arg)
{
	(void)arg;
	for (int i = 0; i < 50; i++) {
		close(dup(ch));
		poll(NULL, 0, i % 2);
	}
	return 0;
}

static void check_process(void)
{
	int listener = listen_tcp(AF_INET), client, status;
	uint32_t h;
	pid_t child;

	ch = new_channel();
	h = accept_lwsocket(ch, listener, &client, 1);
	child = SYS(clone(close_it, stack + sizeof(stack),
			  CLONE_FILES | SIGCHLD, NULL));
	work(h, client);
	SYS(waitpid(child, &status, 0));
	CHECK_IS(status, 0);
	SYS(close(ch));
	SYS(close(client));
	SYS(close(listener));
}

void test(void)
{
	pthread_t thread;

	for (int i = 0; i < ROUNDS; i++) {
		CHECK_IS(pthread_barrier_init(&barrier, NULL, 2), 0);
		CHECK_IS(pthread_create(&thread, NULL, unshare_and_work, NULL),
			 0);
		CHECK_IS(pthread_join(thread, NULL), 0);
	}
	for (int i = 0; i < ROUNDS / 4; i++)
		check_process();
	await_module_users(0);
}
