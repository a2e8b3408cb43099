/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the module know of each other.
 *
 * A channel's thread does everything in its own ioctls: it looks up handles,
 * tries operations, stores completions. Others touch a handle in one way only:
 * wake-ups (readiness.c) note which events they saw and put the handle on the
 * channel's ready list. So there is no lock but those of the wait queues.
 */
#ifndef _MEGAPIPE_CHANNEL_H
#define _MEGAPIPE_CHANNEL_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/llist.h>
#include <linux/list.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/nospec.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "uapi/megapipe.h"

/* Commands copied from the process at a time, completions to it. */
#define MP_COMMANDS_AT_ONCE 32
#define MP_COMPLETIONS_AT_ONCE 32
/* Connections taken from a queue before others get their turn. */
#define MP_ACCEPTS_A_TURN 64
/* Some files tell readers and writers by a wait queue each. */
#define MP_WAITS 2

struct mp_channel;

/* ------------------------------------------------------------- handles */

enum mp_lane_nr { MP_READING, MP_WRITING, MP_POLLING, MP_LANES };

enum mp_lane_state {
	MP_IDLE,
	MP_NEW,	    /* to be tried */
	MP_WAITING, /* was tried, and would have blocked */
	MP_DONE,    /* has its result, for which there was no room yet */
};

/* One operation, from its command to its (last) completion. */
struct mp_lane {
	u8 op;
	u8 flags;
	u8 state;
	bool canceled;
	u32 len;
	u32 arg;
	u64 addr;
	s64 done; /* bytes so far; MP_DONE: the result */
	u32 info; /* MP_DONE: the buffer */
};

struct mp_wait {
	wait_queue_entry_t entry;
	struct wait_queue_head *head; /* NULL: not in any */
	struct mp_handle *handle;
};

struct mp_handle {
	/*
	 * False: wake-ups mean nothing. Becomes so under the lock of the wait
	 * queue that an lwsocket never leaves.
	 */
	bool hears;
	struct mp_channel *ch;
	unsigned long queued; /* bit 0: on the ready list */
	atomic_t seen;	      /* events since the last look */
	/* events that somebody waits for, or has waited for not long ago */
	unsigned int wanted;
	struct llist_node ready;

	struct list_head todo; /* to be looked at, by the channel's thread */
	struct socket *sock;
	struct file *file; /* NULL: an lwsocket */
	u64 cookie;
	u32 number;
	u8 kind;
	u8 busy;	  /* bit n: lane n isn't idle */
	bool is_attached; /* to the file's wait queues */
	bool is_closing;
	bool is_closed; /* the file is let go of, with this result: */
	int close_result;
	bool is_dead; /* ended, but still on the ready list */
	/* an lwsocket that the process has a descriptor of */
	bool has_descriptor;
	int fd;	   /* to be closed with the handle, or -1 */
	int error; /* of the socket, for whoever didn't get it */
	struct mp_lane lanes[MP_LANES];
	struct mp_wait waits[MP_WAITS];
};

/* ------------------------------------------------------------ channels */

struct mp_place {
	struct mp_handle *handle;
	u32 next_free;
	u32 generation;
};

/* Handles by place; grows up to max. */
struct mp_table {
	struct mp_place *places;
	u32 size;
	u32 max;
	u32 free; /* the first of the list of free places, or size */
	u32 last_free;
	u32 used;
	u32 bits; /* of all numbers */
};

struct mp_buffers {
	u64 memory;
	struct megapipe_free __user *free;
	u32 count;
	u32 size;
	u32 stride;
	/* during an ioctl: how many are free, and if that is known */
	u32 nfree;
	bool is_known;
};

/* The ioctl that is going on. */
struct mp_room {
	struct megapipe_completion __user *completions;
	u32 max;
	u32 stored;
	u32 copied; /* of these */
	bool is_faulty;
};

struct mp_channel {
	struct task_struct *task; /* the owner */
	struct mm_struct *mm;
	struct mmu_notifier process; /* tells its end */
	struct mutex ending;
	bool has_ended;

	/* written by wake-ups */
	struct llist_head ready ____cacheline_aligned_in_smp;
	atomic_t nready;
	unsigned int wake_at; /* wake the owner when so many are */

	struct list_head todo ____cacheline_aligned_in_smp;
	struct mp_room room;
	struct mp_table files_table;
	struct mp_table lwsockets;
	struct mp_buffers buffers;
	struct list_head spare; /* lwsockets for the next connections */
	u32 nspare;
	struct megapipe_stats stats;
	struct megapipe_command commands[MP_COMMANDS_AT_ONCE];
	struct megapipe_completion completions[MP_COMPLETIONS_AT_ONCE];
};

static inline bool mp_has_room(const struct mp_channel *ch)
{
	return ch->room.stored < ch->room.max;
}

/* channel.c */
struct mp_channel *mp_channel_new(u32 max_lwsockets);
void mp_channel_end(struct mp_channel *ch);
void mp_channel_free(struct mp_channel *ch);
struct task_struct *mp_channel_take(struct mp_channel *ch);
int mp_channel_buffers(struct mp_channel *ch,
		       const struct megapipe_buffers *buffers);
void mp_copy_completions(struct mp_channel *ch);
void mp_todo(struct mp_handle *h);
int mp_run(struct mp_channel *ch, struct megapipe_run *run);

/* command.c */
int mp_command(struct mp_channel *ch, const struct megapipe_command *cmd,
	       bool at_once);

/* handle.c */
void mp_table_init(struct mp_table *table, u32 max, u32 bits);
void mp_table_free(struct mp_table *table);
int mp_table_add(struct mp_table *table, struct mp_handle *h);
void mp_table_remove(struct mp_table *table, struct mp_handle *h);
void mp_handle_init(struct mp_handle *h, struct mp_channel *ch);
int mp_register(struct mp_channel *ch, struct megapipe_register *reg);
void mp_handle_let_go(struct mp_handle *h);
void mp_handle_end(struct mp_handle *h);
void mp_handle_free(struct mp_channel *ch, struct mp_handle *h);
int mp_handles_init(void);
void mp_handles_exit(void);

/* operation.c */
void mp_look_at(struct mp_handle *h);
void mp_close(struct mp_handle *h);
int mp_begin(struct mp_handle *h, const struct megapipe_command *cmd, int nr,
	     bool at_once);

/* readiness.c */
void mp_wait_init(struct mp_wait *wait, struct mp_handle *h);
void mp_wait_add(struct mp_wait *wait, struct wait_queue_head *head);
int mp_attach(struct mp_handle *h, __poll_t *events);
void mp_detach(struct mp_handle *h);
__poll_t mp_poll(struct mp_handle *h);
void mp_ready(struct mp_handle *h);

/* transfer.c */
ssize_t mp_try_read(struct mp_handle *h, struct mp_lane *lane);
ssize_t mp_try_recv(struct mp_handle *h, struct mp_lane *lane);
ssize_t mp_try_write(struct mp_handle *h, struct mp_lane *lane);
void mp_buffers_settle(struct mp_channel *ch);

/* message.c */
ssize_t mp_try_recvmsg(struct mp_handle *h, struct mp_lane *lane);
ssize_t mp_try_sendmsg(struct mp_handle *h, struct mp_lane *lane);

/* accept.c */
struct file *mp_file_like(const struct socket *other);
struct file *mp_accept_file(struct socket *listener);
s64 mp_try_accept(struct mp_handle *h, struct megapipe_completion *peer);

/* lwsocket.c */
extern bool mp_lwsocket_file;
struct mp_handle *mp_lwsocket_accept(struct mp_handle *listener);
void mp_lwsocket_close(struct mp_handle *h);
void mp_lwsocket_put(struct mp_channel *ch, struct mp_handle *h);
int mp_lwsocket_fd(struct mp_handle *h);
void mp_lwsockets_trim(struct mp_channel *ch);
int mp_lwsockets_init(void);
void mp_lwsockets_exit(void);

/* socket.c */
int mp_socket_call(struct mp_channel *ch, struct megapipe_socket __user *arg);
u32 mp_socket_features(void);

/* device.c */
extern const struct file_operations mp_device_fops;

/* ------------------------------------------ what each operation needs */

static inline struct mp_handle *mp_lookup(struct mp_channel *ch, u32 number)
{
	struct mp_table *table = number & MEGAPIPE_HANDLE_FILE ?
					 &ch->files_table :
					 &ch->lwsockets;
	u32 at = number & MEGAPIPE_PLACE_MASK;
	struct mp_handle *h;

	if (at >= table->size)
		return NULL;
	h = table->places[array_index_nospec(at, table->size)].handle;
	return h && h->number == number ? h : NULL;
}

/* A new one, where there is room. It gets to the process with the others. */
static inline struct megapipe_completion *mp_completion(struct mp_handle *h,
							u8 op)
{
	struct mp_channel *ch = h->ch;
	struct mp_room *room = &ch->room;
	struct megapipe_completion *c;

	if (unlikely(room->stored - room->copied == MP_COMPLETIONS_AT_ONCE))
		mp_copy_completions(ch);
	c = &ch->completions[room->stored++ - room->copied];
	*c = (struct megapipe_completion){ .cookie = h->cookie, .op = op };
	return c;
}

/* Nobody else can start a system call again. */
static inline ssize_t mp_no_restart(ssize_t ret)
{
	if (likely(ret >= 0))
		return ret;
	switch (ret) {
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
	case -ERESTARTNOHAND:
	case -ERESTART_RESTARTBLOCK:
		return -EINTR;
	default:
		return ret;
	}
}

/* No MPTCP, no TLS in the kernel, no sockmap: as tcp.c has it. */
static inline bool mp_is_plain_tcp(const struct sock *sk)
{
	return READ_ONCE(sk->sk_prot)->recvmsg == tcp_prot.recvmsg;
}

#endif
