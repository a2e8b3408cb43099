/* SPDX-License-Identifier: MIT */
/* A server process of a storm: its limits, its threads, and how they end. */
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "storm.h"

static struct worker workers[MOST_WORKERS];
static pthread_barrier_t barrier;
static unsigned int server_number;

/* ------------------------------------------------------------------- state */

static void dump_worker(struct worker *w)
{
	struct connection *c;

	fprintf(stderr,
		"worker %u: %s, accepted %llu, dispatched %llu, %u connections, %u buffers held\n",
		w->number, w->doing, (unsigned long long)w->accepted,
		(unsigned long long)w->dispatched, w->nconnections, w->nheld);
	for (unsigned int i = 0; i < plan.listeners; i++) {
		const struct ear *e = &w->ears[i];

		fprintf(stderr,
			"  ear %u: handle %p, lwsockets %d, partitioned %d, closing %d, stopped %d, wanted %u\n",
			i, (void *)e->h, e->is_lwsocket, e->is_partitioned,
			e->is_closing, e->is_stopped, e->wanted);
	}
	LIST_FOREACH (c, &w->connections, link)
		fprintf(stderr,
			"  connection %x: reads %u, writes %u, received %llu, promised %llu, closing %d, failed %d, ended %d\n",
			c->id, c->nreads, c->nwrites,
			(unsigned long long)c->received,
			(unsigned long long)c->promised, c->is_closing,
			c->has_failed, c->has_ended);
}

/* Of a process that hangs: it needn't be safe. */
void dump_server(int signal)
{
	(void)signal;
	fprintf(stderr, "server %d:\n", getpid());
	for (unsigned int i = 0; i < plan.workers; i++)
		dump_worker(&workers[i]);
	_exit(1);
}

/* ------------------------------------------------------------ what it plays */

static void rest(unsigned int us)
{
	struct timespec t = { .tv_nsec = us * 1000L };

	nanosleep(&t, NULL);
}

/* A child has nothing of the channels. */
static bool is_refused(struct worker *w)
{
	struct connection *c = LIST_FIRST(&w->connections);
	struct mp_event ev;

	mp_destroy(w->ch);
	return mp_dispatch(w->ch, &ev, 0) == -EPERM &&
	       mp_flush(w->ch) == -EPERM && mp_recv(w->stop) == -EPERM &&
	       (!c ||
		(mp_write(c->h, "!", 1) == -EPERM && mp_close(c->h) == -EPERM));
}

/* It has the fds that are open, and lives on a little, or ends at once. */
static void have_child(struct worker *w)
{
	unsigned int us = one_in(&w->dice, 2) ? roll(&w->dice, 20000) : 0;
	pid_t child = SYS(fork());

	if (child)
		return;
	if (!is_refused(w)) {
		fprintf(stderr, "a child may use its parent's channel\n");
		shared->is_failed = true;
	}
	rest(us);
	_exit(0);
}

/* Of the first of several processes. */
static void die_perhaps(struct worker *w)
{
	if (!(plan.features & DEATHS) || server_number ||
	    !one_in(&w->dice, 500))
		return;
	shared->has_died = true;
	_exit(0);
}

static void play_worker(struct worker *w)
{
	die_perhaps(w);
	if (plan.features & PROBES && !w->is_stopping && !w->probe &&
	    one_in(&w->dice, 20))
		probe_begin(w);
	if (!w->is_stopping)
		play_with_ears(w);
	if (plan.features & FORKS && one_in(&w->dice, 300))
		have_child(w);
	if (one_in(&w->dice, 200))
		rest(roll(&w->dice, 5000));
}

/* ---------------------------------------------------------------- dispatch */

/* Who waits for nothing but the kernel waits long, or a wake-up isn't missed.
 */
static bool has_to_do(const struct worker *w)
{
	for (unsigned int i = 0; i < plan.listeners && !w->is_stopping; i++)
		if (!w->ears[i].h || w->ears[i].is_stopped)
			return true;
	return w->nheld > 0;
}

static void ask_bell(struct worker *w)
{
	CHECK_IS(mp_read(w->stop, &w->stop_count, sizeof(w->stop_count)), 0);
}

static void on_bell(struct worker *w, const struct mp_event *ev)
{
	if (plan.features & FAILURES && ev->result < 0) {
		ask_bell(w);
		return;
	}
	CHECK_IS(ev->result, sizeof(w->stop_count));
	w->is_stopping = true;
}

static void dispatched(struct worker *w, struct mp_event *ev)
{
	enum what *what = ev->cookie;

	w->dispatched++;
	if (what == &w->bell) {
		on_bell(w, ev);
	} else if (*what == PROBE) {
		on_probe((struct probe *)what, ev);
	} else if (*what == EAR) {
		on_ear((struct ear *)what, ev);
	} else {
		CHECK_IS(*what, CONNECTION);
		on_connection((struct connection *)what, ev);
	}
}

static int dispatch(struct worker *w, struct mp_event *ev, int64_t timeout_us)
{
	int r;

	if (!one_in(&w->dice, 4))
		return mp_dispatch(w->ch, ev, timeout_us);
	r = mp_wait(w->ch, timeout_us);
	if (r == 1)
		CHECK_IS(mp_dispatch(w->ch, ev, 0), 1);
	return r;
}

static void wait_for_event(struct worker *w)
{
	struct mp_event ev;
	int r;

	if (mp_pending(w->ch) == 0 && one_in(&w->dice, 2))
		release_held(w, 0);
	w->doing = "waits";
	r = dispatch(w, &ev, has_to_do(w) ? 1000 : patience_us);
	w->doing = "works";
	if (r == 1)
		dispatched(w, &ev);
	else if (r == -EINTR)
		/* moderated, io_uring may wake up for nothing; and so may who
		 * had a ring for which there was no room */
		CHECK(plan.features & (SIGNALS | FAULTS | FORKS | OTHER_USER) ||
		      plan.options.moderation_us);
	else
		CHECK_IS(r, 0);
	if (r == 0 && !has_to_do(w) && w->is_stopping)
		fail(__FILE__, __LINE__, "worker %u waits for the end of %u",
		     w->number, w->nconnections);
}

/* ------------------------------------------------------------ a thread's life
 */

/* Where there is no room for another ring, others would take the next engine.
 */
static void make_workers_channel(struct worker *w)
{
	struct mp_options options = plan.options;
	int ret = mp_create(&options, &w->ch);

	if (ret && plan.features & OTHER_USER) {
		CHECK(ret == -ENOMEM || ret == -EPERM);
		options.engine = "epoll";
		ret = mp_create(&options, &w->ch);
	}
	CHECK_IS(ret, 0);
}

static void begin_worker(struct worker *w)
{
	w->bell = BELL;
	LIST_INIT(&w->connections);
	if (w->ch)
		CHECK_IS(mp_adopt(w->ch), 0);
	else
		make_workers_channel(w);
	CHECK_IS(mp_register(w->ch, w->stop_fd, &w->bell, NULL, &w->stop), 0);
	ask_bell(w);
	for (unsigned int i = 0; i < plan.listeners; i++) {
		w->ears[i] = (struct ear){ .worker = w, .number = i };
		open_ear(&w->ears[i]);
	}
}

/* The clients have left: so will their connections. */
static void end_well(struct worker *w)
{
	struct mp_stats s;

	probe_end(w);
	while (w->nconnections)
		wait_for_event(w);
	close_ears(w);
	while (w->nconnections || !are_ears_closed(w))
		wait_for_event(w);
	release_held(w, 0);
	CHECK_IS(mp_unregister(w->stop), 0);
	s = stats_of(w->ch);
	CHECK_IS(s.handles, 0);
	CHECK_IS(s.lwsockets, 0);
	CHECK_IS(s.buffers_held, 0);
}

static void *run_worker(void *arg)
{
	struct worker *w = arg;
	bool is_abrupt = one_in(&w->dice, 3);

	begin_worker(w);
	pthread_barrier_wait(&barrier); /* all have what they need */
	pthread_barrier_wait(&barrier); /* ... and the rest is limited */
	begin_faults(dice_of(plan.seed, 77 + w->number));
	while (!w->is_stopping) {
		play_worker(w);
		wait_for_event(w);
	}
	if (!is_abrupt)
		end_well(w);
	else
		shared->has_died = true; /* the other servers' probes see it */
	end_faults();
	w->doing = "destroys";
	mp_destroy(w->ch);
	connections_forget(w);
	ears_forget(w);
	probe_forget(w);
	return NULL;
}

/* --------------------------------------------------------------- the process
 */

static void on_signal(int signal)
{
	(void)signal;
}

static void handle_signals(void)
{
	struct sigaction none = { .sa_handler = on_signal };
	struct sigaction dump = { .sa_handler = dump_server };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	SYS(sigaction(SIGUSR2, &none, NULL));
	SYS(sigaction(SIGUSR1, &dump, NULL));
	signal(SIGCHLD, SIG_IGN);
}

static void become_nobody(void)
{
	struct rlimit limit = { plan.memlock_kib << 10,
				plan.memlock_kib << 10 };

	if (!(plan.features & OTHER_USER) || geteuid())
		return;
	SYS(setrlimit(RLIMIT_MEMLOCK, &limit));
	SYS(setgid(65534));
	SYS(setuid(65534));
}

/* Room for a few more fds than there are. */
static void limit_server(void)
{
	int next = SYS(dup(0));

	SYS(close(next));
	if (plan.features & FEW_FDS)
		CHECK(limit_fds(next + plan.fds));
}

static void check_fds(int before)
{
	CHECK(limit_fds(4096));
	CHECK_IS(open_fds(), before);
}

static void annoy_until_stop(int stop_fd)
{
	struct dice dice = dice_of(plan.seed, 99);
	struct pollfd p = { .fd = stop_fd, .events = POLLIN };
	int patience_ms = plan.features & SIGNALS ? 1 : -1;

	while (poll(&p, 1, patience_ms) != 1)
		pthread_kill(workers[roll(&dice, plan.workers)].thread,
			     SIGUSR2);
}

_Noreturn void run_server_process(unsigned int number, int stop_fd)
{
	const uint64_t one = 1;
	int before;

	server_number = number;
	handle_signals();
	become_nobody();
	before = open_fds();
	pthread_barrier_init(&barrier, NULL, plan.workers + 1);
	for (unsigned int i = 0; i < plan.workers; i++) {
		struct worker *w = &workers[i];

		w->number = i;
		w->dice = dice_of(plan.seed, 2 + 10 * number + i);
		w->stop_fd = SYS(eventfd(0, EFD_CLOEXEC));
		if (one_in(&w->dice, 2))
			make_workers_channel(w);
		CHECK_IS(pthread_create(&w->thread, NULL, run_worker, w), 0);
	}
	pthread_barrier_wait(&barrier);
	limit_server();
	pthread_barrier_wait(&barrier);
	annoy_until_stop(stop_fd);
	for (unsigned int i = 0; i < plan.workers; i++)
		send_all(workers[i].stop_fd, &one, sizeof(one));
	for (unsigned int i = 0; i < plan.workers; i++) {
		CHECK_IS(pthread_join(workers[i].thread, NULL), 0);
		SYS(close(workers[i].stop_fd));
	}
	check_fds(before);
	exit(0);
}
