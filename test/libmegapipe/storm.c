/* SPDX-License-Identifier: MIT */
/*
 * Random servers under random clients, by a seed, and what must hold whatever
 * happens: each connection is answered, or closed for a known reason; each
 * operation has one event; nothing comes after the last; nothing is left over.
 *
 *	storm <engine>                       the seeds that always run
 *	storm <engine> <seed> [<count>]      this one, or so many from it on
 *	storm <engine> minutes <n> [<seed>]  for so long, from the seed on
 *
 * In the environment STORM_FEATURES, a number, says which of enum feature in
 * harness/storm/storm.h may be in it, STORM_PATIENCE_S when it hangs.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "harness/storm/storm.h"

/* A guest's CPU is emulated. */
#define SEEDS 20
#define SEEDS_KERNEL 4

struct plan plan;
struct shared *shared;
int listener_fds[MOST_LISTENERS];
int64_t patience_us = PATIENCE_US;

static unsigned int allowed = ~0u; /* of enum feature */

/* Others may bind to its port while it has connections. */
static struct address prepare_tcp(int fd)
{
	struct sockaddr_in loopback = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct address a = { .len = sizeof(loopback) };
	const int one = 1;

	SYS(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	/* inherited: or small answers wait for late acknowledgements */
	SYS(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	memcpy(&a.storage, &loopback, sizeof(loopback));
	return a;
}

/*
 * A new name each round: the ring of a process that has ended may hold its
 * sockets for a while.
 */
static int listener_new(unsigned int number)
{
	static unsigned int name;
	int family = plan.families[number];
	int fd = SYS(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	struct address a = family == AF_INET ? prepare_tcp(fd) :
					       unix_name("listener", name++);

	SYS(bind(fd, (struct sockaddr *)&a.storage, a.len));
	SYS(listen(fd, plan.backlogs[number]));
	return fd;
}

static void make_listeners(void)
{
	for (unsigned int i = 0; i < plan.listeners; i++)
		listener_fds[i] = listener_new(i);
}

/* ---------------------------------------------------------------- processes */

static pid_t servers[MOST_SERVERS];
static pid_t clients;

static pid_t start_server(unsigned int number, int stop[2])
{
	pid_t pid = SYS(fork());

	if (pid)
		return pid;
	close(stop[1]);
	run_server_process(number, stop[0]);
}

static pid_t start_clients(void)
{
	pid_t pid = SYS(fork());

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run_clients_process();
}

static void repeat_by(void)
{
	fprintf(stderr, "failed: storm %s %u\n", engine, plan.seed);
	print_plan(&plan);
}

_Noreturn static void give_up(const char *why)
{
	fprintf(stderr, "%s\n", why);
	for (unsigned int i = 0; i < plan.servers; i++)
		if (servers[i] > 0)
			kill(servers[i], SIGUSR1);
	poll(NULL, 0, 500);
	for (unsigned int i = 0; i < plan.servers; i++)
		if (servers[i] > 0)
			kill(servers[i], SIGKILL);
	if (clients > 0)
		kill(clients, SIGKILL);
	repeat_by();
	_exit(1);
}

/* The process that has ended is forgotten; anything but exit(0) is a failure.
 */
static void ended(pid_t pid, int status)
{
	for (unsigned int i = 0; i < plan.servers; i++)
		if (servers[i] == pid)
			servers[i] = 0;
	if (clients == pid)
		clients = 0;
	if (WIFSIGNALED(status))
		fprintf(stderr, "killed by signal %d\n", WTERMSIG(status));
	if (status)
		give_up("a process failed");
}

/*
 * Where the kernel wakes one of those who wait at a listening socket, that one
 * may have died: then the connection waits for the next to come, as it would
 * with EPOLLEXCLUSIVE.
 */
static void come_after_death(void)
{
	for (unsigned int i = 0; shared->has_died && i < plan.listeners; i++) {
		struct address a = address_of(listener_fds[i]);
		int fd = SYS(socket(plan.families[i],
				    SOCK_STREAM | SOCK_NONBLOCK, 0));

		(void)!connect(fd, (struct sockaddr *)&a.storage, a.len);
		SYS(close(fd));
	}
}

static void await_one(void)
{
	int64_t left_ms = 2 * patience_us / 1000;
	int status;
	pid_t pid;

	for (int n = 1; !(pid = SYS(waitpid(-1, &status, WNOHANG))); n++) {
		poll(NULL, 0, 2);
		left_ms -= 2;
		if (clients && n % 64 == 0)
			come_after_death();
		if (left_ms < 0)
			give_up("a process hangs");
	}
	ended(pid, status);
}

static bool is_any_server(void)
{
	for (unsigned int i = 0; i < plan.servers; i++)
		if (servers[i])
			return true;
	return false;
}

static void run_round(unsigned int seed)
{
	int stop[2];

	plan = plan_of(seed, allowed);
	if (getenv("STORM_VERBOSE"))
		print_plan(&plan);
	shared->has_died = false;
	make_listeners();
	SYS(pipe(stop));
	for (unsigned int i = 0; i < plan.servers; i++)
		servers[i] = start_server(i, stop);
	clients = start_clients();
	while (clients)
		await_one();
	SYS(close(stop[1]));
	while (is_any_server())
		await_one();
	SYS(close(stop[0]));
	if (shared->is_failed)
		give_up("a child failed");
	for (unsigned int i = 0; i < plan.listeners; i++)
		SYS(close(listener_fds[i]));
}

/* -------------------------------------------------------------------- rounds
 */

static void share(void)
{
	void *memory = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED);
	shared = memory;
	shared->master = getpid();
}

static void run_minutes(int minutes, unsigned int seed)
{
	time_t end = time(NULL) + minutes * 60;
	unsigned int first = seed;

	while (time(NULL) < end)
		run_round(seed++);
	printf("%u rounds, from seed %u on\n", seed - first, first);
}

static unsigned int number(const char *text, unsigned int otherwise)
{
	return text ? strtoul(text, NULL, 0) : otherwise;
}

static void run_seeds(unsigned int seed, unsigned int count)
{
	while (count--)
		run_round(seed++);
}

void test(void)
{
	allowed = number(getenv("STORM_FEATURES"), allowed);
	if (getenv("STORM_PATIENCE_S"))
		patience_us = number(getenv("STORM_PATIENCE_S"), 0) * 1000000LL;
	share();
	prepare_faults();
	if (!argument) {
		run_seeds(1, strcmp(engine, "kernel") ? SEEDS : SEEDS_KERNEL);
	} else if (strcmp(argument, "minutes") == 0) {
		alarm(0);
		run_minutes(number(arguments[1], 1), number(arguments[2], 1));
	} else {
		run_seeds(number(argument, 1), number(arguments[1], 1));
	}
	printf("%u sessions, %u answered, %u refused, %u faults\n",
	       shared->sessions, shared->served, shared->refused,
	       shared->faults);
}
