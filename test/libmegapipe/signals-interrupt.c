/* SPDX-License-Identifier: MIT */
/*
 * One signal during a wait ends it with -EINTR: whether or not the wait also
 * pushed requests to the kernel, ends by itself, or is moderated; and what was
 * asked for is still done.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "check.h"

static volatile sig_atomic_t handled;
static atomic_bool is_waiting;
static pid_t waiter;

static void handle(int signal)
{
	(void)signal;
	handled = handled + 1;
}

static bool is_asleep(void)
{
	char path[64], stat[256] = "";
	const char *state;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", waiter);
	fd = SYS(open(path, O_RDONLY | O_CLOEXEC));
	SYS(read(fd, stat, sizeof(stat) - 1));
	SYS(close(fd));
	state = strrchr(stat, ')');
	return state && state[2] == 'S';
}

/* Once, when the waiter has been asleep for a while. */
static void *interrupt(void *unused)
{
	while (!atomic_load(&is_waiting))
		usleep(1000);
	do
		usleep(QUIET_US);
	while (!is_asleep());
	SYS(syscall(SYS_tgkill, getpid(), waiter, SIGUSR1));
	return unused;
}

static void check_wait(struct mp_channel *ch, int64_t timeout_us)
{
	struct mp_event ev;
	pthread_t other;
	int result;

	handled = 0;
	atomic_store(&is_waiting, false);
	CHECK_IS(pthread_create(&other, NULL, interrupt, NULL), 0);
	atomic_store(&is_waiting, true);
	result = mp_dispatch(ch, &ev, timeout_us);
	CHECK_IS(pthread_join(other, NULL), 0);
	CHECK_IS(result, -EINTR);
	CHECK_IS(handled, 1);
}

static void check(struct mp_options options, bool is_pending,
		  int64_t timeout_us)
{
	struct mp_channel *ch = make_channel_with(options);
	struct mp_handle *h;
	char text[8];
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	if (!is_pending)
		EXPECT_NONE(ch);
	check_wait(ch, timeout_us);
	check_wait(ch, timeout_us);
	send_all(pair[1], "still", 5);
	EXPECT(ch, h, MP_READ, 5);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

/* So that a moderated wait waits for several completions. */
static void warm_up(struct mp_channel *ch, struct mp_handle *h, int peer)
{
	char byte;

	for (int i = 0; i < 8; i++) {
		CHECK_IS(mp_read(h, &byte, 1), 0);
		send_all(peer, "x", 1);
		EXPECT(ch, h, MP_READ, 1);
	}
}

static void check_moderated(bool is_pending)
{
	struct mp_channel *ch = make_channel_with((struct mp_options){
		.moderation_us = MP_MODERATION_MAX,
	});
	struct mp_handle *h;
	char byte;
	int pair[2];

	unix_pair(pair, SOCK_STREAM);
	h = make_handle(ch, pair[0]);
	warm_up(ch, h, pair[1]);
	CHECK_IS(mp_read(h, &byte, 1), 0);
	if (!is_pending)
		CHECK_IS(mp_flush(ch), 0);
	check_wait(ch, -1);
	send_all(pair[1], "x", 1);
	EXPECT(ch, h, MP_READ, 1);
	mp_destroy(ch);
	SYS(close(pair[0]));
	SYS(close(pair[1]));
}

void test(void)
{
	static const int64_t timeouts[] = { -1, PATIENCE_US, INT64_MAX };
	struct sigaction action = { .sa_handler = handle };

	waiter = syscall(SYS_gettid);
	SYS(sigaction(SIGUSR1, &action, NULL));
	for (int i = 0; i < 3; i++) {
		check((struct mp_options){ 0 }, false, timeouts[i]);
		check((struct mp_options){ 0 }, true, timeouts[i]);
		check((struct mp_options){ .batch = 1 }, true, timeouts[i]);
	}
	check_moderated(false);
	check_moderated(true);
}
