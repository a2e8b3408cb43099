// SPDX-License-Identifier: MIT
/*
 * Threads, and what a child has of the channels after fork(): nothing. Its
 * thread owns none of them, their memory isn't mapped there, and the
 * descriptors that are the library's are closed before fork() returns.
 *
 * These are marked in a table by fd: an epoll set, a ring, clones of listening
 * sockets, lwsockets that are hidden fds, and what the caller doesn't know yet
 * or any more. The child needs nothing but that table, so it doesn't matter
 * what other threads were about. To make a descriptor and to mark it, or to
 * unmark and to close it, is one step for fork(): it waits for the channel's
 * lock.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine.h"

/* The kernel has no fds beyond 2^30. */
#define FDS_A_PAGE 65536
#define PAGES 16384

/* The owner of a parent's channel in a child. */
#define NOBODY UINT64_MAX

_Thread_local uint64_t mp__thread_id;
static uint64_t last_thread_id;

static char *own[PAGES];
static int npages; /* of these, at most */

/* Recursive: a handler of SIGSEGV may fork wherever it happens. */
static pthread_mutex_t channels_lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static LIST_HEAD(, mp_channel) channels = LIST_HEAD_INITIALIZER(channels);

/* Of what is made to try something out, for no channel. */
static pthread_mutex_t trial_lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

/* ---------------------------------------------- descriptors of our own */

static char *own_page(int fd)
{
	return __atomic_load_n(&own[fd / FDS_A_PAGE], __ATOMIC_ACQUIRE);
}

MP__RARELY static char *own_page_new(int fd)
{
	char *page = mmap(NULL, FDS_A_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *other = NULL;
	int before = __atomic_load_n(&npages, __ATOMIC_RELAXED);

	if (page == MAP_FAILED)
		return NULL;
	while (before <= fd / FDS_A_PAGE &&
	       !__atomic_compare_exchange_n(&npages, &before,
					    fd / FDS_A_PAGE + 1, true,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	if (__atomic_compare_exchange_n(&own[fd / FDS_A_PAGE], &other, page,
					false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return page;
	munmap(page, FDS_A_PAGE);
	return other;
}

static void mark(int fd, bool is_own)
{
	char *page = own_page(fd);

	if (!page && is_own)
		page = own_page_new(fd);
	if (page)
		__atomic_store_n(&page[fd % FDS_A_PAGE], is_own,
				 __ATOMIC_RELAXED);
}

/* The library's, from now on; a child must not have it. */
void mp__fd_own(int fd)
{
	mark(fd, true);
}

/* The caller's, from now on. */
void mp__fd_disown(int fd)
{
	mark(fd, false);
}

/*
 * While held, fork() waits: for a system call that doesn't. NULL: of no
 * channel, after mp__fork_watch().
 */
void mp__fds_hold(struct mp_channel *ch)
{
	pthread_mutex_lock(ch ? &ch->fds_lock : &trial_lock);
}

void mp__fds_let(struct mp_channel *ch)
{
	pthread_mutex_unlock(ch ? &ch->fds_lock : &trial_lock);
}

/* As close(2), and no point of cancellation: it would keep the lock. */
int mp__fd_close(struct mp_channel *ch, int fd)
{
	int ret;

	mp__fds_hold(ch);
	mp__fd_disown(fd);
	ret = syscall(SYS_close, fd);
	mp__fds_let(ch);
	return ret;
}

/*
 * Memory that is shared with the kernel: a child needs none of it, and its
 * copy-on-write would cost us.
 */
int mp__not_in_child(void *memory, size_t size)
{
	return madvise(memory, size, MADV_DONTFORK) ? -errno : 0;
}

/* ------------------------------------------------------------------ fork */

static bool is_ours(const struct mp_channel *ch)
{
	return ch->owner == mp__thread_id && ch->priv &&
	       ch->engine->each_queued;
}

static void before_fork(void)
{
	struct mp_channel *ch;

	pthread_mutex_lock(&channels_lock);
	LIST_FOREACH (ch, &channels, link) {
		mp__fds_hold(ch);
		if (is_ours(ch))
			ch->engine->each_queued(ch, mp__fd_own);
	}
	mp__fds_hold(NULL);
	mp__partition_fork(MP__BEFORE_FORK);
	mp__balance_fork(MP__BEFORE_FORK);
	mp__disk_fork(MP__BEFORE_FORK);
}

static void after_fork_in_parent(void)
{
	struct mp_channel *ch;

	mp__disk_fork(MP__IN_PARENT);
	mp__balance_fork(MP__IN_PARENT);
	mp__partition_fork(MP__IN_PARENT);
	mp__fds_let(NULL);
	LIST_FOREACH (ch, &channels, link) {
		if (is_ours(ch))
			ch->engine->each_queued(ch, mp__fd_disown);
		mp__fds_let(ch);
	}
	pthread_mutex_unlock(&channels_lock);
}

static void close_own(char *page, int first)
{
	char *at = page;

	while ((at = memchr(at, true, page + FDS_A_PAGE - at))) {
		*at++ = false;
		syscall(SYS_close, first + (at - page) - 1);
	}
}

/* The locks are the parent's, whose thread this one isn't. */
static void after_fork_in_child(void)
{
	struct mp_channel *ch;

	mp__thread_id = 0;
	LIST_FOREACH (ch, &channels, link)
		ch->owner = NOBODY;
	for (int i = 0; i < npages; i++)
		if (own[i])
			close_own(own[i], i * FDS_A_PAGE);
	mp__disk_fork(MP__IN_CHILD);
	mp__balance_fork(MP__IN_CHILD);
	mp__partition_fork(MP__IN_CHILD);
	LIST_INIT(&channels);
	channels_lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
	trial_lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
}

/* ---------------------------------------------------- threads' channels */

static pthread_once_t watch_once = PTHREAD_ONCE_INIT;
static int watch_error;

static void watch_forks(void)
{
	watch_error = -pthread_atfork(before_fork, after_fork_in_parent,
				      after_fork_in_child);
}

int mp__fork_watch(void)
{
	pthread_once(&watch_once, watch_forks);
	return watch_error;
}

static uint64_t this_thread(void)
{
	if (!mp__thread_id)
		mp__thread_id = __atomic_add_fetch(&last_thread_id, 1,
						   __ATOMIC_RELAXED);
	return mp__thread_id;
}

/* A new channel is this thread's. */
int mp__fork_join(struct mp_channel *ch)
{
	int ret = mp__fork_watch();

	if (ret)
		return ret;
	ch->owner = this_thread();
	ch->fds_lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
	pthread_mutex_lock(&channels_lock);
	LIST_INSERT_HEAD(&channels, ch, link);
	pthread_mutex_unlock(&channels_lock);
	return 0;
}

int mp_adopt(struct mp_channel *ch)
{
	int ret = 0;

	if (!ch)
		return -EINVAL;
	if (mp__is_owner(ch))
		return 0;
	pthread_mutex_lock(&channels_lock);
	if (ch->owner == NOBODY)
		ret = -EPERM;
	else if (ch->is_used)
		ret = -EBUSY;
	else
		ch->owner = this_thread();
	pthread_mutex_unlock(&channels_lock);
	return ret;
}

void mp__fork_leave(struct mp_channel *ch)
{
	pthread_mutex_lock(&channels_lock);
	LIST_REMOVE(ch, link);
	pthread_mutex_unlock(&channels_lock);
}
