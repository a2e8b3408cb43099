/* SPDX-License-Identifier: MIT */
/*
 * What channels and engines know of each other.
 *
 * The channel (channel.c, handle.c, request.c, accept.c) owns handles, lanes
 * and events: what is the same on every engine. An engine does one operation at
 * a time of each lane: the channel start()s the operation at the lane's head,
 * the engine reports with mp__op_done(), the channel starts the next. So
 * engines need no idea of order, of short writes, of cookies or of events.
 */
#ifndef MP_ENGINE_H
#define MP_ENGINE_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "megapipe.h"

#define MP__IOV_INLINE 8
#define MP__NO_BUFFER UINT32_MAX
/* Some thousand years: a longer time is without bound. */
#define MP__LONGEST_US (INT64_MAX / 2)
/* What must hold, looked at where the sanitizers are built in. */
#ifdef __SANITIZE_ADDRESS__
#define MP__ASSERT(x) ((x) ? (void)0 : abort())
#else
#define MP__ASSERT(x) ((void)(0 && (x)))
#endif
#define MP__LIKELY(x) __builtin_expect(!!(x), 1)
#define MP__UNLIKELY(x) __builtin_expect(!!(x), 0)
/*
 * What each operation runs through, and most of it goes where it is known
 * which; what few do, so that the others needn't save registers for it.
 */
#define MP__RARELY __attribute__((noinline))
#define MP__INLINE static inline __attribute__((always_inline))

/* The object of which *pointer is that member. */
#define MP__CONTAINER(pointer, type, member) \
	((type *)((char *)&(pointer)[0] - offsetof(type, member)))

/*
 * Objects that engine uring names to the kernel by address: what alignment
 * leaves free of it tells which kind of object it is.
 */
#define MP__TAGGED_ALIGN 16
#define MP__TAGGED _Alignas(MP__TAGGED_ALIGN)

struct mp__engine;
struct mp__queue;

/*
 * Where operations and handles lie that are free, ASan sees who uses them all
 * the same.
 */
#if defined(__SANITIZE_ADDRESS__)
#define MP__HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MP__HAS_ASAN 1
#endif
#endif
#ifdef MP__HAS_ASAN
#include <sanitizer/asan_interface.h>
#define MP__POISON(from, size) __asan_poison_memory_region(from, size)
#define MP__UNPOISON(from, size) __asan_unpoison_memory_region(from, size)
#else
#define MP__POISON(from, size) ((void)(from), (void)(size))
#define MP__UNPOISON(from, size) ((void)(from), (void)(size))
#endif

/* ----------------------------------------------------------- operations */

struct mp__op {
	MP__TAGGED union {
		STAILQ_ENTRY(mp__op)
		link; /* in a lane, early, or completed
		       * ones of its handle */
		SLIST_ENTRY(mp__op) free_link;
	};
	TAILQ_ENTRY(mp__op) in_channel; /* among all that are completed */
	struct mp_handle *handle;
	enum mp_command cmd;
	uint32_t buffer; /* MP_RECV: the buffer that was filled */

	/* from here to iov, all is 0 in a new one */
	ssize_t result;
	uint32_t skip;	 /* MP_RECV: where in the buffer it begins */
	bool canceled;	 /* the engine was asked to end it */
	bool has_broken; /* MP_WRITE, MP_SENDMSG: see unseen_breaks */
	bool polled;	 /* waits for readiness, then is tried again */
	bool changed;	 /* MP_POLL: to other events, since it started */
	bool repeats;	 /* uring: likewise, the request doesn't end alone */
	bool early;	 /* MP_ACCEPT: nobody asks for it */
	bool is_partial; /* MP_WRITE: some of it is enough */
	union {
		bool at_position; /* uring: a write that moves the position */
		bool in_pool;	  /* other engines: disk.c has it, as job */
	};
	socklen_t addr_len; /* MP_CONNECT; MP_ACCEPT: the peer's, or 0 */
	size_t size;	    /* MP_READ, MP_WRITE: bytes of iov at first */
	size_t done;	    /* MP_WRITE: of these */
	int iovcnt;
	struct iovec *iov_heap; /* the copy, where it isn't iov_inline */

	/* what to do; iov is moved on by short writes */
	struct iovec *iov;
	off_t offset; /* -1: the file's position */
	struct iovec iov_inline[MP__IOV_INLINE];
	int how;	   /* MP_DISCONNECT */
	short events;	   /* MP_POLL */
	struct msghdr msg; /* MP_*MSG: the caller's, copied; uring: of iov */
	union {
		struct msghdr *caller_msg;
		struct mp__disk_job *job;
	};
	struct sockaddr_storage addr;
};

STAILQ_HEAD(mp__ops, mp__op);
TAILQ_HEAD(mp__completed, mp__op);

struct mp__lane {
	struct mp__ops ops;
	bool busy; /* the engine has the head */
};

/* --------------------------------------------------------------- timers */

/*
 * Something that the library has to do later, of its own accord. Zeroed but for
 * expire(), it isn't set.
 */
struct mp__timer {
	struct mp_channel *ch; /* where it is set; NULL: it isn't */
	int64_t at_us;	       /* of CLOCK_MONOTONIC */
	void (*expire)(struct mp__timer *timer); /* it isn't set any more */
	TAILQ_ENTRY(mp__timer) link;
};

TAILQ_HEAD(mp__timers, mp__timer);

/* -------------------------------------------------------------- handles */

enum mp__kind {
	MP__STREAM,   /* stream socket */
	MP__MESSAGES, /* datagram or seqpacket socket */
	MP__POLLABLE, /* pipe, FIFO, eventfd, timerfd, signalfd, tty */
	MP__DISK,
};

enum mp__state {
	MP__FREE,
	MP__OPEN,
	MP__CLOSING,  /* mp_close() was called */
	MP__DROPPING, /* no event may come any more */
};

/* How long writes may take when the handle closes. */
enum mp__bound {
	MP__UNBOUNDED,
	MP__AT_ONCE, /* each is tried once */
	MP__BOUNDED, /* till the deadline, then the connection is reset */
};

/*
 * Engine epoll: a file's place in the epoll set. A handle has one, which its
 * accept queue shares if that is of the same fd; clones have their own.
 */
struct mp__watch {
	struct mp_handle *handle;
	struct mp__queue *queue; /* an accept queue of this fd, or NULL */
	uint32_t place;		 /* what its events are marked with, or 0 */
	uint32_t round;		 /* when it came into the ready list */
	bool readable;		 /* worth a try */
	bool writable;
	bool hung_up;  /* no further edge will come: always try */
	bool urgent;   /* reads may end before urgent data: likewise */
	bool queued;   /* has something to try */
	bool starved;  /* its reader waits for a buffer */
	bool retrying; /* its connect waits for a better time */
	TAILQ_ENTRY(mp__watch) ready;
	TAILQ_ENTRY(mp__watch) starving;
	TAILQ_ENTRY(mp__watch) retry;
};

/* Engine uring: who receives for a handle. receive.c has the transitions. */
enum mp__receiving {
	MP__RX_IDLE,	/* nobody */
	MP__RX_SINGLE,	/* the read at the lane's head, which the kernel has */
	MP__RX_ARMED,	/* a multishot receive */
	MP__RX_ENDING,	/* ... which was asked to end */
	MP__RX_CLOSED,	/* ... and MP_CLOSE is over, but for that end */
	MP__RX_STARVED, /* nobody: the reader waits for a buffer */
	MP__RX_OVER,	/* nobody: the end is known, and due to the reader */
	MP__RX_STATES,
};

/* ... and what a multishot receive has brought too early. */
struct mp__ahead {
	enum mp__receiving state;
	uint32_t first; /* buffers kept, chained by mp__buffer.next */
	uint32_t last;
	uint32_t count;
	uint32_t skip;	  /* bytes of the first that are taken already */
	int close_result; /* MP__RX_CLOSED */
	int final;	  /* MP__RX_OVER: due when the buffers are taken */
	TAILQ_ENTRY(mp_handle) starving;
};

/* Engine kernel: the handle in the module. */
struct mp__link {
	uint32_t number;
	bool is_known;	  /* the module has it */
	bool is_starved;  /* the reader waits for a buffer */
	bool is_retrying; /* the connect waits for a better time */
	uint32_t round;	  /* when it came to wait for that */
	TAILQ_ENTRY(mp_handle) waiting;
};

/* What an accept queue waits for (queue.c has the table of transitions). */
enum mp__queue_state {
	MP__QUEUE_IDLE,
	MP__QUEUE_ACCEPTING, /* armed: accepts */
	MP__QUEUE_POLLING,   /* armed: a poll, which takes nothing */
	MP__QUEUE_READY,     /* has a connection, and has to wait for others
				that may be the last one wanted */
	MP__QUEUE_IN_LINE,   /* has a connection, and waits for an lwsocket */
	MP__QUEUE_TAKING,    /* armed: an accept of what is there */
	MP__QUEUE_STOPPING,  /* armed, and was told to end */
	MP__QUEUE_FAILING,   /* likewise, and is tried again later */
	MP__QUEUE_FAILED,    /* waits for the channel's retry timer */
	MP__QUEUE_DRAINING,  /* closing; armed: an accept of what is there */
	MP__QUEUE_DRAINED,   /* closing, nothing is left to be taken */
};

/* One accept queue: the listening socket itself, or a clone for one CPU. */
struct mp__queue {
	MP__TAGGED struct mp_handle *handle;
	int fd;
	unsigned int index; /* among the handle's */
	bool is_clone;
	bool is_own; /* no other handle accepts from it */
	int cpu;     /* that it gets the connections of, or -1 */
	/* balance.c */
	bool is_foreign; /* another channel's, to take one connection from */
	bool is_shared;	 /* others may take from it */
	bool is_held;	 /* ... and one does now: it has to stay open */
	TAILQ_ENTRY(mp__queue) sharing;
	enum mp__queue_state state;
	bool polls;		      /* what is armed is a poll */
	bool multi;		      /* ... an accept of any number */
	uint32_t armed;		      /* requests that the engine has */
	uint32_t cancels;	      /* ... that end these */
	int result;		      /* of what ended last */
	TAILQ_ENTRY(mp__queue) link;  /* in line, or failed */
	struct sockaddr_storage peer; /* of what is accepted now, if it is */
	socklen_t peer_len;	      /* ... known already */
	struct mp__watch watch;
	bool is_in_module; /* engine kernel: as this number */
	uint32_t number;
	bool is_nonblocking; /* likewise, for accept4() */
};

TAILQ_HEAD(mp__queues, mp__queue);

struct mp__listener {
	int family;
	struct mp__queue **queues;
	struct mp__queue *foreign; /* balance.c, or NULL */
	unsigned int nqueues;
	uint32_t wanted; /* connections, or MP_ACCEPT_ALL */
	bool is_lwsocket;
	bool is_counted;       /* its queues are, among those of lwsockets */
	bool was_asked;	       /* for connections, ever */
	unsigned int requests; /* that the engine has */
	unsigned int accepts;  /* ... of these, those that take connections */
	unsigned int naming;   /* connections whose peer's name is asked for */
	int64_t told_us;       /* when it was told of a shortage; 0: never */
	struct mp__ops early;  /* accepted, and not asked for (any more) */
	uint64_t group;	       /* key of the claim on CPUs, or 0 */
	cpu_set_t claim;
	LIST_ENTRY(mp_handle) link;
};

struct mp_handle {
	MP__TAGGED struct mp_channel *ch;
	enum mp__state state;
	STAILQ_ENTRY(mp_handle) free_link;

	/* from here on a free one is poisoned */
	void *cookie;
	int id;	  /* what the caller knows it by */
	int fd;	  /* -1: a direct descriptor */
	int slot; /* lwsocket, or -1 */
	enum mp__kind kind;
	bool is_tcp;
	bool connecting;
	/* writes that broke off, and whose events aren't dispatched yet */
	uint16_t unseen_breaks;
	unsigned int in_flight; /* operations that the engine has */
	uint32_t undelivered;	/* MP_ACCEPT events not dispatched yet */
	struct mp__lane rd;
	struct mp__lane wr;
	struct mp__lane poll; /* at most one, till it is dispatched: */
	bool is_polling;
	struct mp__ops completed; /* not dispatched yet, oldest first */
	/* MP__CLOSING (close.c) */
	enum mp__bound bound;
	bool is_given_up;	   /* the deadline was over before the writes */
	struct mp__timer deadline; /* then: when to cancel again */
	const struct mp__op *waited; /* MP__AT_ONCE: the write that was tried */
	struct mp__listener *listener;
	struct mp__disk_file *disk; /* disk.c's, or NULL */
	union {
		struct mp__watch watch;
		struct mp__ahead ahead;
		struct mp__link in_module;
	};
	LIST_ENTRY(mp_handle) link;
};

static inline bool mp__is_socket(const struct mp_handle *handle)
{
	return handle->kind == MP__STREAM || handle->kind == MP__MESSAGES;
}

/* May the engine still report something of it? */
static inline bool mp__is_in_flight(const struct mp_handle *handle)
{
	const struct mp__listener *l = handle->listener;

	return handle->in_flight || (l && (l->requests || l->naming));
}

/* -------------------------------------------------------------- channel */

enum mp__lwstate {
	MP__LW_FREE,
	MP__LW_ACCEPTED, /* reported, not registered yet */
	MP__LW_REGISTERED,
};

struct mp__lwsocket {
	int fd;			  /* the hidden fd; -1: a direct descriptor */
	uint32_t number;	  /* engine kernel: in the module */
	struct mp_handle *handle; /* likewise: whose completions these are */
	uint8_t state;
	uint8_t kind;
	bool is_tcp;
	uint8_t family;
	uint32_t next_free;
};

/* How queues of lwsockets wait, by how many lwsockets are free. */
enum mp__lw_level {
	MP__LW_BY_POLL, /* with none reserved */
	MP__LW_ONE,	/* with one accept */
	MP__LW_SEVERAL, /* with as many as the engine likes */
	MP__LW_ANY,	/* with accepts of any number */
};

struct mp__lw {
	struct mp__queues line; /* have a connection each */
	enum mp__lw_level level;
	uint32_t low;	   /* with fewer free it is another level */
	uint32_t high;	   /* so it is with as many */
	uint32_t own;	   /* queues that want lwsockets and suit multi */
	uint32_t shared;   /* ... that don't */
	uint32_t multis;   /* accepts of any number that are armed */
	uint32_t reserved; /* for others that are armed */
};

/*
 * Buffers for mp_recv(). Behind those in memory, engine uring numbers copies on
 * the heap of what it received ahead, when buffers get scarce.
 */
struct mp__buffer {
	char *data;
	uint32_t len;
	uint32_t next;
	bool held; /* by the caller */
};

struct mp__buffers {
	char *memory;
	size_t mapped;
	struct mp__buffer *state;
	uint32_t count; /* of state */
	uint32_t *free; /* a stack; engine uring: of heap numbers */
	uint32_t nfree;
	uint32_t nprovided; /* engine uring: with the kernel */
};

/* Requests for disk files that the pool has done; disk.c's lock is for it. */
TAILQ_HEAD(mp__disk_jobs, mp__disk_job);

struct mp__disk {
	int fd; /* an eventfd that tells; -1: none was asked for yet */
	struct mp__disk_jobs done;
	unsigned int ndone;
};

/* Whether channels are busy, and what their neighbours do about it. */
struct mp__balance {
	bool is_asked;	  /* by others: it says that it is idle by false */
	int64_t asked_us; /* when; balance.c's lock is for it */
	struct mp__timer look;
	int64_t look_us;   /* from now to the next one */
	uint64_t accepted; /* by the last one */
};

struct mp_channel {
	const struct mp__engine *engine;
	uint64_t owner;		  /* mp__thread_id of that thread */
	bool is_used;		  /* it can't get another owner */
	pthread_mutex_t fds_lock; /* see fork.c */
	LIST_ENTRY(mp_channel) link;
	struct mp_options options; /* as in force */
	unsigned int unflushed;	   /* requests not pushed yet */
	unsigned int unhurried;	   /* likewise, that no peer waits for */
	struct mp__completed completed;
	struct sockaddr_storage peer; /* of the MP_ACCEPT dispatched last */
	SLIST_HEAD(, mp__op) free_ops;
	void *chunks; /* memory of ops and handles */
	LIST_HEAD(, mp_handle) handles;
	STAILQ_HEAD(, mp_handle) free_handles;
	STAILQ_HEAD(, mp_handle) left_handles; /* free, but not yet reused */
	unsigned int nleft;
	LIST_HEAD(, mp_handle) listeners;
	struct mp_handle **by_fd;
	size_t by_fd_size;
	struct mp__lwsocket *lwsockets;
	uint32_t lw_free; /* head of the free list; hidden fds only */
	bool is_direct;	  /* lwsockets are direct descriptors */
	bool is_urgent;	  /* waits are not moderated: a caller waits with us */
	int broken;	  /* -errno: the kernel refuses its calls, for good */
	struct mp__lw lw;
	uint32_t accepts_ahead;	  /* connections that the engine may have taken
				     with accepts of any number, untold */
	struct mp__queues failed; /* accept queues that are tried again */
	struct mp__timer retry;	  /* ... then */
	uint32_t retry_us;	  /* ... after that long, the next time */
	struct mp__buffers buffers;
	struct mp__timers timers; /* the first to expire is first */
	struct mp__balance balance;
	struct mp__disk disk;
	struct mp_stats stats;
	void *priv; /* the engine's */
};

/* --------------------------------------------------------------- engines */

struct mp__engine {
	const char *name;
	/* Of a channel, that RLIMIT_MEMLOCK counts; NULL: none. */
	size_t (*locked_bytes)(const struct mp_options *options);
	bool wakes_one; /* of those who wait at a shared accept queue */
	bool is_fair;	/* who takes all of a shared queue isn't always the same
			 */
	int (*probe)(struct mp_engine_info *info);
	int (*create)(struct mp_channel *ch);
	void (*destroy)(struct mp_channel *ch);

	/* A handle comes; nothing of it is in flight any more. */
	int (*attach)(struct mp_handle *handle);
	void (*detach)(struct mp_handle *handle);

	/*
	 * Begin; ends with mp__op_done() (MP_POLL: mp__poll_done()), from
	 * within start() perhaps.
	 */
	void (*start)(struct mp__op *op);
	/*
	 * End what was started, soon. That it is done still comes, perhaps from
	 * within, and may bring a result all the same.
	 */
	void (*cancel)(struct mp__op *op);

	/*
	 * Accept one (or, multi, any number; or, mp__queue_is_nowait(), what
	 * is there); wait for one to come, and take none; end what the queue
	 * has. Results go to mp__accepted(), never from within these calls.
	 */
	uint32_t accepts; /* how many at once from a shared queue */
	int (*accept)(struct mp__queue *queue);
	int (*accept_poll)(struct mp__queue *queue);
	void (*accept_stop)(struct mp__queue *queue);
	/* Know nothing of its file any more; nothing is in flight. Or NULL. */
	void (*accept_forget)(struct mp__queue *queue);

	/*
	 * Can what is still in flight end while the file is closed? Else
	 * closing waits for it.
	 */
	bool (*can_close)(const struct mp_handle *handle);
	/* Stop what the engine does for the handle on its own. */
	void (*quiesce)(struct mp_handle *handle);
	/* Close an lwsocket that has no handle, or has lost it. */
	void (*close_slot)(struct mp_channel *ch, unsigned int slot);

	int (*flush)(struct mp_channel *ch);
	/*
	 * Flush, and wait for a completion until the deadline: -ETIME, -EINTR
	 * or 0. Only mp__fetch() calls it, which knows the timers.
	 */
	int (*fetch)(struct mp_channel *ch, int64_t deadline_us);

	int (*buffers)(struct mp_channel *ch);
	void (*release)(struct mp_channel *ch, uint32_t buffer);

	/* A new fd for a direct descriptor; the slot stays. */
	int (*install_fd)(struct mp_channel *ch, unsigned int slot);
	/* Of a direct descriptor; -ENOSYS: not without an fd. */
	int (*setsockopt)(struct mp_handle *handle, int level, int name,
			  const void *value, socklen_t len);
	int (*getsockopt)(struct mp_handle *handle, int level, int name,
			  void *value, socklen_t *len);
	int (*getpeername)(struct mp_handle *handle, struct sockaddr *addr,
			   socklen_t *len);
	int (*getsockname)(struct mp_handle *handle, struct sockaddr *addr,
			   socklen_t *len); /* or NULL */
	/*
	 * Tell the fds that only the queues between engine and kernel know:
	 * accepted ones, and those that are to be closed. May be NULL.
	 */
	void (*each_queued)(struct mp_channel *ch, void (*tell)(int fd));
	/* Of what was accepted; true: mp__accept_named() comes. */
	bool (*name_peer)(struct mp__op *op);
	/*
	 * When this eventfd is readable, take what it counts and call
	 * mp__disk_finish(). NULL: the engine doesn't use disk.c.
	 */
	int (*await)(struct mp_channel *ch, int fd);
};

extern const struct mp__engine mp__engine_uring;
extern const struct mp__engine mp__engine_epoll;
extern const struct mp__engine mp__engine_kernel;

/* -------------------------------------------------- channel to engine */

/* why.c */
void mp__why(const char *format, ...) __attribute__((format(printf, 1, 2)));
void mp__why_clear(void);
void mp__why_no_memory(size_t bytes);
void mp__why_no_ring(int error);
void mp__why_no_device(int error);
bool mp__memlock_allows(size_t bytes);
bool mp__memlock_wait(int64_t *until_us);
void mp__memlock_freed(void);
bool mp__memlock_shrink(struct mp_options *options);

/* channel.c */
void *mp__tagged_new(size_t size);
bool mp__ops_grow(struct mp_channel *ch);
void mp__op_free_heap(struct mp__op *op);
void mp__drop(struct mp__op *op);
void mp__tell_feature(struct mp_engine_info *info, bool has, const char *name);
int mp__answered(struct mp_channel *ch, int ret);
void mp__account_flush(struct mp_channel *ch);
void mp__account_fetch(struct mp_channel *ch, uint64_t count);
/*
 * The engine's fetch. Timers that expire meanwhile are run, and end the wait
 * like a completion; -ETIME: the deadline is over.
 */
int mp__fetch(struct mp_channel *ch, int64_t deadline_us);
struct mp_handle *mp__handle_new(struct mp_channel *ch);
void mp__handle_free(struct mp_handle *handle);

/* timer.c */
int64_t mp__now_us(void);
void mp__timer_set(struct mp_channel *ch, struct mp__timer *timer,
		   int64_t after_us);
void mp__timer_cancel(struct mp__timer *timer);
/*
 * How long until a deadline, a time of CLOCK_MONOTONIC. 0 is one that is over,
 * -1 one that never comes: they are left as they are.
 */
int64_t mp__left_us(int64_t deadline_us);
void mp__timers_run(struct mp_channel *ch);

/* fork.c */
enum mp__fork { MP__BEFORE_FORK, MP__IN_PARENT, MP__IN_CHILD };
extern _Thread_local uint64_t mp__thread_id; /* never the same again; 0: none */
int mp__fork_watch(void);
int mp__fork_join(struct mp_channel *ch);
void mp__fork_leave(struct mp_channel *ch);
void mp__fd_own(int fd);
void mp__fd_disown(int fd);
void mp__fds_hold(struct mp_channel *ch);
void mp__fds_let(struct mp_channel *ch);
int mp__fd_close(struct mp_channel *ch, int fd);
int mp__not_in_child(void *memory, size_t size);

/* request.c */
void mp__op_done(struct mp__op *op, ssize_t result);
void mp__poll_done(struct mp__op *op, ssize_t result);
void mp__lane_run(struct mp_handle *handle, struct mp__lane *lane);
void mp__lane_cancel(struct mp_handle *handle, struct mp__lane *lane);

/* handle.c */
#define MP__CANCEL_AGAIN_US 10000
void mp__handle_end(struct mp_handle *handle);
int mp__make_nonblocking(struct mp_channel *ch, int fd);
void mp__by_fd_forget(struct mp_handle *handle);
void mp__cancel_again(struct mp_handle *handle);
void mp__reset_at_close(struct mp_handle *handle);

/* close.c */
ssize_t mp__close_result(const struct mp_handle *handle, ssize_t result);

/* accept.c */
/* Connections taken from a queue before others get their turn. */
#define MP__ACCEPTS_A_TURN 64
int mp__accept4(struct mp__queue *queue);
int mp__listener_new(struct mp_handle *handle, const cpu_set_t *cpu_mask);
void mp__listener_free(struct mp_handle *handle);
void mp__listener_stop(struct mp_handle *handle);
void mp__listener_close(struct mp_handle *handle);
void mp__accepted_discard(struct mp__op *op);
void mp__accept_one(struct mp__queue *q, int fd);
void mp__accept_report(struct mp__queue *q, int error);
void mp__accept_failed(struct mp__queue *q, int error);
void mp__accept_named(struct mp__op *op);

/* queue.c */
void mp__queue_arm(struct mp__queue *q);
void mp__queue_join(struct mp__queue *q);
bool mp__queue_can_take(const struct mp__queue *q);
void mp__queue_take(struct mp__queue *q);
void mp__queue_stop(struct mp__queue *q);
void mp__queues_count(struct mp_handle *handle);
bool mp__queues_drain(struct mp_handle *handle);
uint32_t mp__queue_share(const struct mp__queue *q);
void mp__accepted(struct mp__queue *queue, int result, bool more);
void mp__accept_canceled(struct mp__queue *queue, int found);
void mp__accept_retry(struct mp__timer *timer);
void mp__accept_freed(struct mp_channel *ch);

static inline bool mp__queue_is_ending(const struct mp__queue *q)
{
	return q->state == MP__QUEUE_STOPPING || q->state == MP__QUEUE_FAILING;
}

/* Its accept takes what is there, or nothing. */
static inline bool mp__queue_is_nowait(const struct mp__queue *q)
{
	return q->state == MP__QUEUE_TAKING || q->state == MP__QUEUE_DRAINING;
}

/*
 * Mostly, only a queue of our own may be accepted from without an end. Where
 * the kernel wakes one of those who wait at a shared queue, always the one who
 * came first, he would get all connections. Who asks for one at a time goes to
 * the end of the line.
 */
static inline bool mp__queue_suits_multi(const struct mp__queue *q)
{
	return q->is_own || q->handle->ch->engine->is_fair;
}

/* disk.c */
void mp__disk_start(struct mp__op *op);
void mp__disk_cancel(struct mp__op *op);
void mp__disk_finish(struct mp_channel *ch);
int mp__disk_close(struct mp_channel *ch, int fd);
void mp__disk_forget(struct mp_handle *handle);
void mp__disk_destroy(struct mp_channel *ch);
void mp__disk_fork(enum mp__fork when);

/* lwsocket.c */
int mp__lwsockets_create(struct mp_channel *ch);
int mp__lwsocket_hide(struct mp_handle *listener, int fd);
int mp__lwsocket_adopt(struct mp_handle *listener, unsigned int slot);
void mp__lwsocket_forget(struct mp_channel *ch, unsigned int slot);
void mp__lwsocket_close(struct mp_channel *ch, unsigned int slot);

/* partition.c */
int mp__partition(struct mp_handle *handle, const cpu_set_t *cpu_mask);
void mp__partition_end(struct mp__listener *listener);
struct mp__queue *mp__queue_add(struct mp_handle *handle, int fd);
void mp__queues_free(struct mp__listener *listener);
void mp__partition_fork(enum mp__fork when);

/* balance.c */
void mp__balance_share(struct mp__queue *queue);
void mp__balance_unshare(struct mp__listener *listener);
void mp__balance_begin(struct mp_handle *handle);
void mp__balance_look(struct mp__timer *timer);
void mp__balance_fork(enum mp__fork when);

/* steering.c */
int mp__steering(void);

/* buffers.c */
int mp__buffers_create(struct mp_channel *ch);
void mp__buffers_destroy(struct mp_channel *ch);
uint32_t mp__buffer_copy(struct mp_channel *ch, const char *data, uint32_t len);
void mp__buffer_copy_free(struct mp_channel *ch, uint32_t buffer);
static inline char *mp__buffer(const struct mp_channel *ch, uint32_t buffer)
{
	return ch->buffers.state[buffer].data;
}

/* --------------------------------------------- what each operation needs */

MP__INLINE bool mp__is_owner(const struct mp_channel *ch)
{
	return ch->owner == mp__thread_id;
}

/* Others want to know whether it is idle. */
MP__INLINE bool mp__is_asked(const struct mp_channel *ch)
{
	return __atomic_load_n(&ch->balance.is_asked, __ATOMIC_RELAXED);
}

MP__INLINE int mp__check(const struct mp_handle *handle)
{
	if (!handle)
		return -EINVAL;
	if (!mp__is_owner(handle->ch))
		return -EPERM;
	return handle->state == MP__OPEN ? 0 : -EBADF;
}

MP__INLINE struct mp__lane *mp__lane_of(struct mp_handle *handle,
					enum mp_command cmd)
{
	switch (cmd) {
	case MP_READ:
	case MP_RECV:
	case MP_RECVMSG:
		return &handle->rd;
	case MP_POLL:
		return &handle->poll;
	default:
		return &handle->wr;
	}
}

MP__INLINE struct mp__op *mp__op_new(struct mp_handle *handle,
				     enum mp_command cmd)
{
	struct mp_channel *ch = handle->ch;
	struct mp__op *op;

	if (MP__UNLIKELY(SLIST_EMPTY(&ch->free_ops)) && !mp__ops_grow(ch))
		return NULL;
	op = SLIST_FIRST(&ch->free_ops);
	MP__UNPOISON(op, sizeof(*op));
	SLIST_REMOVE_HEAD(&ch->free_ops, free_link);
	op->handle = handle;
	op->cmd = cmd;
	op->buffer = MP__NO_BUFFER;
	memset(&op->result, 0,
	       offsetof(struct mp__op, iov) - offsetof(struct mp__op, result));
	op->iov = op->iov_inline;
	op->offset = -1;
	return op;
}

MP__INLINE void mp__op_free(struct mp__op *op)
{
	if (MP__UNLIKELY(op->iov_heap))
		mp__op_free_heap(op);
	SLIST_INSERT_HEAD(&op->handle->ch->free_ops, op, free_link);
	MP__POISON(op, sizeof(*op));
}

/* It is over: tell, unless nothing is to be told any more. */
MP__INLINE void mp__deliver(struct mp__op *op)
{
	struct mp_handle *handle = op->handle;

	if (MP__UNLIKELY(handle->state == MP__DROPPING)) {
		mp__drop(op);
		return;
	}
	handle->ch->stats.fetched++;
	STAILQ_INSERT_TAIL(&handle->completed, op, link);
	TAILQ_INSERT_TAIL(&handle->ch->completed, op, in_channel);
}

/* After each request: push when the threshold is reached. */
MP__INLINE int mp__push(struct mp_channel *ch)
{
	ch->stats.requests++;
	if (MP__UNLIKELY(ch->unflushed >= ch->options.batch))
		ch->engine->flush(ch);
	return 0;
}

#endif
