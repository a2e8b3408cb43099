// SPDX-License-Identifier: MIT
/*
 * Disk files for engines that have no way of their own to read and write them
 * without waiting for the disk: a few threads wait instead. They are threads of
 * the process like any other, so all that the kernel asks of a process (rights,
 * namespaces, limits, control groups) is asked of the right one. One pool
 * serves all channels of the process.
 *
 * A request's way
 *
 *   The channel's thread first tries what needs no waiting: mp_pread() of what
 *   is in memory. For the rest it makes a job, which has all that a thread
 *   needs, and puts it in the queue. A thread takes it out, makes the one
 *   system call, puts the job in the channel's list of those done, and writes
 *   to the channel's eventfd, which the engine waits for among everything else
 *   (await()). Then mp__disk_finish() ends the operations, in the channel's
 *   thread: the threads of the pool know nothing of operations, handles and
 *   lanes. One lock is for the queue, the states of all jobs and the channels'
 *   lists; nobody waits for a disk while he holds it.
 *
 * A disk that doesn't answer (NFS, FUSE)
 *
 *   It can't be helped that the thread waits, and no signal ends that. But
 *   nobody waits for the thread: a job is given up, and freed when its thread
 *   comes back. So it must not touch what isn't its own:
 *     - The bytes are in memory of the job. What is read is copied to the
 *       caller when it is done, what is written when it is asked for. Memory
 *       that was given back is never written to.
 *     - The descriptor is a duplicate of ours, made for a handle's first job,
 *       and closed when neither handle nor jobs need it. The caller's number
 *       may name another file before the thread's system call has begun.
 *   What hasn't begun is taken out of the queue, and never happens. Of what is
 *   given up when it has begun, nobody knows: a write may still happen, and the
 *   position may still move. So mp_cancel() leaves alone what reads at the
 *   position once it has begun, or the bytes would be lost; its event comes
 *   when it ends. mp_close(), mp_close_within() at its deadline,
 *   mp_unregister() and mp_destroy() give up everything.
 *
 *   To close a file may have to wait for the disk, too. As long as something
 *   that was given up hangs, it isn't tried by channels' threads, but left to
 *   the pool. A process that ends or executes another program waits for its own
 *   threads, as the kernel has it; setuid() and the like wait, too. Those of
 *   other processes are nobody's concern.
 *
 * Threads
 *
 *   They are started when there is more to do than threads are idle, up to
 *   THREADS of them, not counting those that hang in what was given up; these
 *   are replaced, up to THREADS_AT_ALL. An idle one ends after IDLE_S seconds.
 *   All signals are blocked in them. They run where the process's first thread
 *   may, not where the channel's thread is pinned; what else the kernel has by
 *   thread (namespaces, raw credentials, nice values) they have of the
 *   channel's thread that has started them. Where none can be started, the
 *   operation's result is -EAGAIN.
 *
 * fork()
 *
 *   The child has none of the threads, no channel, and so no job, but for their
 *   memory. Duplicates and eventfds are marked as the library's (fork.c), and
 *   closed. But a descriptor that a thread of the pool is about to close at
 *   this moment may stay in the child.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"

#define THREADS 16
#define THREADS_AT_ALL 128
#define IDLE_S 10
/* A system call needs little; sanitizers and large TLS more. */
#define STACK_SIZE (256 << 10)
/* With O_DIRECT the memory has to be aligned as the caller's was. */
#define DATA_ALIGN 4096
/* The kernel does no more in one call. */
#define SIZE_AT_ONCE ((size_t)0x7ffff000)

/* The library's own descriptor of a handle's file. */
struct mp__disk_file {
	int fd;
	unsigned int users; /* the handle, and jobs */
};

enum job_state { QUEUED, RUNNING, DONE };

struct mp__disk_job {
	TAILQ_ENTRY(mp__disk_job) link; /* in queue, running, or ch's done */
	enum job_state state;
	struct mp_channel *ch; /* NULL: nobody waits for it (any more) */
	struct mp__op *op;     /* likewise */
	struct mp__disk_file *file;
	int closes; /* this fd, and does nothing else; or -1 */
	bool is_write;
	bool has_signal; /* SIGXFSZ came with the result */
	off_t offset;	 /* or -1 */
	size_t size;
	char *data;
	ssize_t result;
};

/* Recursive: see fork.c. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_cond_t has_work = PTHREAD_COND_INITIALIZER;
static struct mp__disk_jobs queue = TAILQ_HEAD_INITIALIZER(queue);
static struct mp__disk_jobs running = TAILQ_HEAD_INITIALIZER(running);
static unsigned int nqueued;
static unsigned int nthreads;
static unsigned int nidle;     /* of these */
static unsigned int ngiven_up; /* jobs that a thread is at in vain */

/* ----------------------------------------------------------------- jobs */

static struct mp__disk_job *job_new(size_t size)
{
	size_t room = (size / DATA_ALIGN + 1) * DATA_ALIGN;
	struct mp__disk_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->closes = -1;
	job->size = size;
	job->data = aligned_alloc(DATA_ALIGN, room);
	if (job->data)
		return job;
	free(job);
	return NULL;
}

static void job_free(struct mp__disk_job *job)
{
	free(job->data);
	free(job);
}

/* With the lock held. The file, if it is to be closed now, or NULL. */
static struct mp__disk_file *file_put(struct mp__disk_file *file)
{
	return file && !--file->users ? file : NULL;
}

/* For fork() rather before than after: then the number may be another's. */
static void close_in_pool(int fd)
{
	mp__fd_disown(fd);
	close(fd);
}

/* -------------------------------------------------------------- threads */

static ssize_t call(const struct mp__disk_job *job)
{
	int fd = job->file->fd;

	if (job->is_write)
		return job->offset < 0 ?
			       write(fd, job->data, job->size) :
			       pwrite(fd, job->data, job->size, job->offset);
	return job->offset < 0 ? read(fd, job->data, job->size) :
				 pread(fd, job->data, job->size, job->offset);
}

/* It is for the thread that has asked for the write, and blocked in ours. */
static bool take_signal(void)
{
	const struct timespec at_once = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGXFSZ);
	return sigtimedwait(&set, NULL, &at_once) == SIGXFSZ;
}

static void perform(struct mp__disk_job *job)
{
	if (job->closes >= 0) {
		close_in_pool(job->closes);
		return;
	}
	job->result = call(job);
	if (job->result < 0)
		job->result = -errno;
	job->has_signal = job->result == -EFBIG && take_signal();
}

/* With the lock held, but while closing what the job was the last to need. */
static void settle(struct mp__disk_job *job)
{
	struct mp__disk_file *last = file_put(job->file);
	const uint64_t one = 1;

	TAILQ_REMOVE(&running, job, link);
	job->state = DONE;
	if (job->ch) {
		TAILQ_INSERT_TAIL(&job->ch->disk.done, job, link);
		job->ch->disk.ndone++;
		/* it is never full */
		(void)!write(job->ch->disk.fd, &one, sizeof(one));
		return;
	}
	if (last) {
		pthread_mutex_unlock(&lock);
		close_in_pool(last->fd);
		free(last);
		pthread_mutex_lock(&lock);
	}
	ngiven_up--;
	job_free(job);
}

/* With the lock held. NULL: there was nothing to do for long. */
static struct mp__disk_job *next_job(void)
{
	struct mp__disk_job *job;
	struct timespec until;
	int ret = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += IDLE_S;
	nidle++;
	while (!(job = TAILQ_FIRST(&queue)) && ret != ETIMEDOUT)
		ret = pthread_cond_timedwait(&has_work, &lock, &until);
	nidle--;
	if (!job)
		return NULL;
	TAILQ_REMOVE(&queue, job, link);
	nqueued--;
	job->state = RUNNING;
	TAILQ_INSERT_TAIL(&running, job, link);
	if (!job->ch)
		ngiven_up++;
	return job;
}

/* Whose thread is pinned has not pinned the process. */
static void go_where_process_may(void)
{
	cpu_set_t cpus;

	if (!sched_getaffinity(getpid(), sizeof(cpus), &cpus))
		sched_setaffinity(0, sizeof(cpus), &cpus);
}

static void *work(void *arg)
{
	struct mp__disk_job *job;

	(void)arg;
	pthread_setname_np(pthread_self(), "megapipe-disk");
	go_where_process_may();
	pthread_mutex_lock(&lock);
	while ((job = next_job())) {
		pthread_mutex_unlock(&lock);
		perform(job);
		pthread_mutex_lock(&lock);
		settle(job);
	}
	nthreads--;
	pthread_mutex_unlock(&lock);
	return NULL;
}

static int create_thread(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, before;
	int ret = pthread_attr_init(&attr);

	if (ret)
		return ret;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&thread, &attr, work, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return ret;
}

/* With the lock held. Fails only where there is nobody at all. */
static int need_thread(void)
{
	unsigned int able = nthreads > ngiven_up ? nthreads - ngiven_up : 0;

	if (nqueued <= nidle || able >= THREADS || nthreads >= THREADS_AT_ALL)
		return 0;
	if (!create_thread()) {
		nthreads++;
		return 0;
	}
	return able ? 0 : -EAGAIN;
}

static int enqueue(struct mp__disk_job *job)
{
	int ret;

	pthread_mutex_lock(&lock);
	TAILQ_INSERT_TAIL(&queue, job, link);
	nqueued++;
	ret = need_thread();
	if (ret) {
		TAILQ_REMOVE(&queue, job, link);
		nqueued--;
	} else {
		if (job->file)
			job->file->users++;
		pthread_cond_signal(&has_work);
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

/* -------------------------------------------------------------- closing */

/* As mp__fd_close(), of a disk file. */
int mp__disk_close(struct mp_channel *ch, int fd)
{
	struct mp__disk_job *job;
	bool is_stuck;

	pthread_mutex_lock(&lock);
	is_stuck = ngiven_up > 0;
	pthread_mutex_unlock(&lock);
	job = is_stuck ? job_new(0) : NULL;
	if (!job)
		return mp__fd_close(ch, fd);
	job->closes = fd;
	if (!enqueue(job))
		return 0;
	job_free(job);
	return mp__fd_close(ch, fd);
}

/* The handle ends. */
void mp__disk_forget(struct mp_handle *handle)
{
	struct mp__disk_file *last;

	pthread_mutex_lock(&lock);
	last = file_put(handle->disk);
	pthread_mutex_unlock(&lock);
	handle->disk = NULL;
	if (!last)
		return;
	mp__disk_close(handle->ch, last->fd);
	free(last);
}

/* The channel ends, and the engine doesn't wait any more. */
void mp__disk_destroy(struct mp_channel *ch)
{
	struct mp__disk_job *job;

	pthread_mutex_lock(&lock);
	while ((job = TAILQ_FIRST(&ch->disk.done))) {
		TAILQ_REMOVE(&ch->disk.done, job, link);
		job_free(job);
	}
	pthread_mutex_unlock(&lock);
	if (ch->disk.fd >= 0)
		mp__fd_close(ch, ch->disk.fd);
}

/* ------------------------------------------------------------- starting */

/* A descriptor of the library's that is made, or -errno. */
static int own(int fd)
{
	if (fd < 0)
		return -errno;
	mp__fd_own(fd);
	return fd;
}

/* Before the first job of the channel. */
static int await_jobs(struct mp_channel *ch)
{
	int fd, ret;

	if (ch->disk.fd >= 0)
		return 0;
	mp__fds_hold(ch);
	fd = own(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	mp__fds_let(ch);
	if (fd < 0)
		return fd;
	ret = ch->engine->await(ch, fd);
	if (ret)
		mp__fd_close(ch, fd);
	else
		ch->disk.fd = fd;
	return ret;
}

/* Before the first job of the handle. */
static int open_file(struct mp_handle *handle)
{
	struct mp__disk_file *file;

	if (handle->disk)
		return 0;
	file = malloc(sizeof(*file));
	if (!file)
		return -ENOMEM;
	handle->ch->stats.crossings++;
	mp__fds_hold(handle->ch);
	file->fd = own(fcntl(handle->fd, F_DUPFD_CLOEXEC, 0));
	mp__fds_let(handle->ch);
	if (file->fd < 0) {
		int ret = file->fd;

		free(file);
		return ret;
	}
	file->users = 1;
	handle->disk = file;
	return 0;
}

static void gather(char *to, const struct mp__op *op, size_t size)
{
	for (int i = 0; size && i < op->iovcnt; i++) {
		size_t n = op->iov[i].iov_len;

		if (n > size)
			n = size;
		if (n)
			memcpy(to, op->iov[i].iov_base, n);
		to += n;
		size -= n;
	}
}

static void scatter(const struct mp__op *op, const char *from, size_t size)
{
	for (int i = 0; size && i < op->iovcnt; i++) {
		size_t n = op->iov[i].iov_len;

		if (n > size)
			n = size;
		if (n)
			memcpy(op->iov[i].iov_base, from, n);
		from += n;
		size -= n;
	}
}

static size_t size_of(const struct mp__op *op)
{
	if (op->cmd == MP_RECV)
		return op->handle->ch->options.buffer_size;
	return op->size - op->done < SIZE_AT_ONCE ? op->size - op->done :
						    SIZE_AT_ONCE;
}

static int submit(struct mp__op *op)
{
	struct mp_handle *handle = op->handle;
	struct mp__disk_job *job;
	int ret = await_jobs(handle->ch);

	if (!ret)
		ret = open_file(handle);
	if (ret)
		return ret;
	job = job_new(size_of(op));
	if (!job)
		return -ENOMEM;
	job->ch = handle->ch;
	job->op = op;
	job->file = handle->disk;
	job->offset = op->offset;
	job->is_write = op->cmd == MP_WRITE;
	if (job->is_write)
		gather(job->data, op, job->size);
	op->job = job;
	op->in_pool = true;
	ret = enqueue(job);
	if (!ret)
		return 0;
	op->in_pool = false;
	job_free(job);
	return ret;
}

/*
 * What is in memory costs no thread. At the position it may have to wait for
 * others who read there, who wait for the disk.
 */
static bool is_in_memory(const struct mp__op *op)
{
	ssize_t n;

	if (op->cmd != MP_READ || op->offset < 0)
		return false;
	op->handle->ch->stats.crossings++;
	n = preadv2(op->handle->fd, op->iov, op->iovcnt, op->offset,
		    RWF_NOWAIT);
	return n >= 0 && (size_t)n == op->size;
}

static void end_op(struct mp__op *op, ssize_t result)
{
	op->in_pool = false;
	if (op->cmd == MP_RECV && result <= 0) {
		op->handle->ch->engine->release(op->handle->ch, op->buffer);
		op->buffer = MP__NO_BUFFER;
	}
	mp__op_done(op, result);
}

/* MP_READ, MP_WRITE, and MP_RECV with a buffer that the engine has taken. */
void mp__disk_start(struct mp__op *op)
{
	int ret;

	if (is_in_memory(op)) {
		mp__op_done(op, op->size);
		return;
	}
	op->handle->ch->stats.crossings++;
	ret = submit(op);
	if (ret)
		end_op(op, ret);
}

/* --------------------------------------------------------------- ending */

static void finish(struct mp__disk_job *job)
{
	struct mp__op *op = job->op;
	ssize_t result = job->result;

	if (op->cmd == MP_RECV && result > 0)
		memcpy(mp__buffer(job->ch, op->buffer), job->data, result);
	else if (op->cmd == MP_READ && result > 0)
		scatter(op, job->data, result);
	if (job->has_signal)
		raise(SIGXFSZ);
	job_free(job);
	end_op(op, result);
}

static struct mp__disk_job *take_done(struct mp_channel *ch)
{
	struct mp__disk_job *job;

	pthread_mutex_lock(&lock);
	job = TAILQ_FIRST(&ch->disk.done);
	if (job) {
		TAILQ_REMOVE(&ch->disk.done, job, link);
		ch->disk.ndone--;
	}
	pthread_mutex_unlock(&lock);
	return job;
}

/* The eventfd was written to. What is done later writes to it again. */
void mp__disk_finish(struct mp_channel *ch)
{
	struct mp__disk_job *job;
	unsigned int count;

	pthread_mutex_lock(&lock);
	count = ch->disk.ndone;
	pthread_mutex_unlock(&lock);
	while (count-- && (job = take_done(ch)))
		finish(job);
}

/* Nobody may give up what moves the position, unless the handle goes. */
static bool may_give_up(const struct mp__disk_job *job)
{
	return job->offset >= 0 || job->op->handle->state != MP__OPEN;
}

/* With the lock held. True: the job will end by itself, and be freed. */
static bool give_up(struct mp__disk_job *job)
{
	if (job->state == RUNNING) {
		job->ch = NULL;
		ngiven_up++;
		need_thread(); /* in place of its own */
		return true;
	}
	TAILQ_REMOVE(&queue, job, link);
	nqueued--;
	file_put(job->file);
	return false;
}

/* As the engine's cancel(), of an operation that is in the pool. */
void mp__disk_cancel(struct mp__op *op)
{
	struct mp__disk_job *job = op->job;
	bool goes = false, is_running = false;

	pthread_mutex_lock(&lock);
	/* what is done is about to end anyway */
	goes = job->state == QUEUED ||
	       (job->state == RUNNING && may_give_up(job));
	if (goes)
		is_running = give_up(job);
	pthread_mutex_unlock(&lock);
	if (!goes)
		return;
	if (!is_running)
		job_free(job);
	end_op(op, -ECANCELED);
}

/* ----------------------------------------------------------------- fork */

/* Whoever frees memory in a child may wait for a thread that isn't there. */
static void be_new(void)
{
	static struct mp__disk_jobs parents = TAILQ_HEAD_INITIALIZER(parents);

	TAILQ_CONCAT(&parents, &queue, link);
	TAILQ_CONCAT(&parents, &running, link);
	nqueued = 0;
	nthreads = 0;
	nidle = 0;
	ngiven_up = 0;
	has_work = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
}

void mp__disk_fork(enum mp__fork when)
{
	if (when == MP__BEFORE_FORK)
		pthread_mutex_lock(&lock);
	else if (when == MP__IN_PARENT)
		pthread_mutex_unlock(&lock);
	else
		be_new();
}
