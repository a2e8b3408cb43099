/* SPDX-License-Identifier: MIT */
/*
 * In a control group with little memory what a process asks of a channel fails,
 * or the process is ended; the machine goes on, and nothing is left over.
 */
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "channel.h"
#include "machine.h"
#include "processes.h"

#define COUNT 4000
#define PRINTK "/proc/sys/kernel/printk"

static char group[] = "/sys/fs/cgroup/megapipe-limited";

static void write_setting(const char *name, const char *value)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/%s", group, name);
	if (!write_text(path, value))
		skip("a control group's %s can't be set: %s", name,
		     strerror(errno));
}

struct clients {
	int listener;
	struct bell connected;
};

static void be_clients(void *arg)
{
	struct clients *c = arg;

	CHECK(limit_fds(COUNT + 100));
	for (int i = 0; i < COUNT; i++)
		connect_to(c->listener);
	ring(c->connected);
	pause();
}

/* Registers files and accepts until something says no. */
static void take_much(void *arg)
{
	struct clients *c = arg;
	int ch = make_channel_of(MEGAPIPE_LWSOCKETS_MAX), fd = c->listener;
	uint32_t h = add(ch, fd, 1), other;

	write_setting("cgroup.procs", "0");
	ASK(ch, ACCEPT, h);
	while (NEXT_OF(ch).flags & MEGAPIPE_C_MORE)
		if (stats_now(ch).lwsockets == COUNT)
			break;
	for (int i = 0; i < 200000; i++)
		if (try_add(ch, fd, 2, &other) < 0)
			break;
	_exit(0);
}

static bool was_killed(pid_t child)
{
	int status;

	SYS(waitpid(child, &status, 0));
	if (WIFEXITED(status))
		CHECK_IS(WEXITSTATUS(status), 0);
	else
		CHECK_IS(WTERMSIG(status), SIGKILL);
	return WIFSIGNALED(status);
}

void test(void)
{
	struct clients c = { listen_tcp(AF_INET), new_bell() };
	char level[20];
	pid_t clients;

	need_root();
	if (mkdir(group, 0755) < 0 && errno != EEXIST)
		skip("no control group can be made: %s", strerror(errno));
	/* Whom the kernel ends it tells with a trace, which is no fault. */
	snprintf(level, sizeof(level), "%ld", read_number(PRINTK));
	write_text(PRINTK, "1");
	write_setting("memory.swap.max", "0");
	write_setting("memory.max", "4194304");
	clients = start(be_clients, &c);
	await(c.connected);
	printf("killed: %d\n", was_killed(start(take_much, &c)));
	end(clients);
	await_module_users(0);
	write_text(PRINTK, level);
	check_usable(new_channel());
	SYS(rmdir(group));
}
