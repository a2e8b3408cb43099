/* SPDX-License-Identifier: MIT */
/*
 * /dev/megapipe: the interface between the MegaPipe module and processes.
 *
 * After S. Han, S. Marshall, B.-G. Chun, S. Ratnasamy: "MegaPipe: A New
 * Programming Interface for Scalable Network I/O", OSDI 2012 ("the paper"),
 * section 4.1. This header is the whole interface and its manual. Programs
 * usually want libmegapipe, which puts order, short writes, partitioned
 * listening sockets and other engines around it.
 *
 * Channels
 *
 *   A channel is an open file of /dev/megapipe on which MEGAPIPE_IOC_SETUP was
 *   done, once (then -EBUSY); before, other ioctls are -ENOTCONN. It belongs to
 *   the process that did it, and to its thread that does the first of them
 *   but MEGAPIPE_IOC_BUFFERS: they fail with -EPERM from other threads, from
 *   children, and after execve(). MEGAPIPE_IOC_INFO can always be asked.
 *
 *   It ends when it is closed for the last time, by MEGAPIPE_IOC_END (after
 *   which ioctls are -ESHUTDOWN), or when its process ends or executes another
 *   program, whoever else still has the file. Its end closes its lwsockets,
 *   drops what is in flight, and lets go of the files that were registered,
 *   which stay open in their processes.
 *
 * Handles
 *
 *   A file is registered with MEGAPIPE_IOC_REGISTER and has a number from then
 *   on, the handle. An lwsocket gets its handle when it is accepted, and has it
 *   as its cookie until MEGAPIPE_OP_COOKIE gives it another. A handle means
 *   something in its own channel alone, and nothing after its end: each use of
 *   a place has another number (modulo MEGAPIPE_GENERATIONS), and free places
 *   are used in turn. So a number comes back at the earliest after
 *   MEGAPIPE_GENERATIONS times as many handles as there are free places.
 *
 *   A handle does one operation of each kind at a time: one that reads
 *   (ACCEPT, READ, RECV, RECVMSG), one that writes (CONNECT, WRITE, SENDMSG,
 *   DISCONNECT), and one POLL. So the memory that requests take is bounded by
 *   the number of handles.
 *
 * Commands and completions
 *
 *   MEGAPIPE_IOC_RUN carries commands in and completions out, many at a time
 *   (24 and 40 bytes, as in the paper). Commands are tried at once, in their
 *   order; what would block is tried again when the file tells that it is
 *   ready. Where there is no room for a completion, what would bring it waits
 *   for the next call: nothing is lost, and nothing piles up.
 *
 * All structures have the same shape for 32-bit and 64-bit processes, but for
 * struct iovec and struct msghdr, which are the process's own. Reserved
 * members, members that an operation doesn't use, those that are only filled in
 * (but for struct megapipe_run's) and unknown flags must be 0, else -EINVAL.
 */
#ifndef _UAPI_MEGAPIPE_H
#define _UAPI_MEGAPIPE_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define MEGAPIPE_DEVICE "/dev/megapipe"

/* Changes with every change that an older program could notice. */
#define MEGAPIPE_ABI_VERSION 4

/* ------------------------------------------------------------ handles */

/* A handle's number: place, whether it is a file's, generation. */
#define MEGAPIPE_PLACE_BITS 20
#define MEGAPIPE_PLACE_MASK ((1U << MEGAPIPE_PLACE_BITS) - 1)
#define MEGAPIPE_HANDLE_FILE (1U << MEGAPIPE_PLACE_BITS)
#define MEGAPIPE_GENERATION_SHIFT (MEGAPIPE_PLACE_BITS + 1)
#define MEGAPIPE_GENERATIONS (1U << (32 - MEGAPIPE_GENERATION_SHIFT))

#define MEGAPIPE_LWSOCKETS_MAX (1U << MEGAPIPE_PLACE_BITS)
#define MEGAPIPE_FILES_MAX (1U << MEGAPIPE_PLACE_BITS)
#define MEGAPIPE_BUFFERS_MAX 32768
#define MEGAPIPE_BUFFER_SIZE_MAX (1U << 20)

/* What a handle's file is. */
enum megapipe_kind {
	MEGAPIPE_KIND_STREAM = 0,   /* stream socket */
	MEGAPIPE_KIND_MESSAGES = 1, /* datagram or seqpacket socket */
	MEGAPIPE_KIND_POLLABLE = 2, /* pipe, FIFO, eventfd, timerfd, ... */
};

/* ----------------------------------------------------------- commands */

enum megapipe_op {
	/*
	 * Accept len connections from a listening socket as lwsockets; len 0:
	 * until it is cancelled. Flags: MEGAPIPE_F_PEER, _NOWAIT. A completion
	 * each; result: the lwsocket's handle. The last one, or an error, lacks
	 * MEGAPIPE_C_MORE. Accepting a file descriptor is left to the system
	 * call, where the system's security modules watch: POLL tells when.
	 *   -EAGAIN  with MEGAPIPE_F_NOWAIT: there is none (any more)
	 *   -EMFILE  as many are open in the channel as the process may have
	 *            files open (RLIMIT_NOFILE)
	 *   -ENFILE  all lwsockets are in use
	 *   -EOPNOTSUPP  the socket is none of TCP, MPTCP, UNIX and vsock, or
	 *            the module's no_lwsockets forbids them
	 */
	MEGAPIPE_OP_ACCEPT = 1,
	/*
	 * Read at most len bytes to addr. Result: bytes, 0 at the end. Flags:
	 * MEGAPIPE_F_VECTOR.
	 */
	MEGAPIPE_OP_READ = 2,
	/*
	 * Read into one of the buffers of the channel, which is taken when
	 * there is something to read: the completion's info is its number.
	 *   -ENOBUFS  there is something to read, but no buffer
	 */
	MEGAPIPE_OP_RECV = 3,
	/* recvmsg() of the struct msghdr at addr; arg: its flags. */
	MEGAPIPE_OP_RECVMSG = 4,
	/*
	 * Write len bytes from addr: all of them, or an error; datagrams are
	 * sent whole. Flags: MEGAPIPE_F_VECTOR. Sockets raise no SIGPIPE.
	 */
	MEGAPIPE_OP_WRITE = 5,
	/*
	 * sendmsg() of the struct msghdr at addr; arg: its flags.
	 *   -EOPNOTSUPP  control messages from a 32-bit process
	 */
	MEGAPIPE_OP_SENDMSG = 6,
	/* shutdown(); arg: SHUT_RD, SHUT_WR or SHUT_RDWR. */
	MEGAPIPE_OP_DISCONNECT = 7,
	/*
	 * Tell once that one of the events in arg holds (one or more of
	 * POLLIN, POLLOUT, POLLRDHUP; POLLERR and POLLHUP always count).
	 * Result: those that do; with MEGAPIPE_F_NOWAIT also 0, none does.
	 */
	MEGAPIPE_OP_POLL = 8,
	/*
	 * End the operations of the handle whose kinds are in arg
	 * (MEGAPIPE_LANE_*): -ECANCELED. No completion of its own. Writes
	 * that weren't tried yet are tried once before it.
	 */
	MEGAPIPE_OP_CANCEL = 9,
	/*
	 * End all operations, -ECANCELED, then the handle. An lwsocket is
	 * closed; of a file also the descriptor arg, unless that is -1.
	 * Result: 0, or of closing the descriptor (-EBADF: it isn't the
	 * handle's file, and stays open). With MEGAPIPE_F_SILENT
	 * there is no completion, not even of what was in flight.
	 */
	MEGAPIPE_OP_CLOSE = 10,
	/* Change the handle's cookie to addr. No completion. */
	MEGAPIPE_OP_COOKIE = 11,
	/*
	 * Wait for the end of a connect() that is in progress. Result: 0. To
	 * connect is left to the system call, where the system's security
	 * modules watch.
	 */
	MEGAPIPE_OP_CONNECT = 12,
};

/* addr is an array of len struct iovec, to be kept till the completion. */
#define MEGAPIPE_F_VECTOR (1 << 0)
#define MEGAPIPE_F_PEER (1 << 3)
#define MEGAPIPE_F_NOWAIT (1 << 4)
#define MEGAPIPE_F_SILENT (1 << 5)

#define MEGAPIPE_LANE_READ (1 << 0)
#define MEGAPIPE_LANE_WRITE (1 << 1)
#define MEGAPIPE_LANE_POLL (1 << 2)

/* A command, 24 bytes. */
struct megapipe_command {
	__u8 op;
	__u8 flags;
	__u16 reserved;
	__u32 handle;
	__aligned_u64 addr;
	__u32 len;
	__u32 arg;
};

/* -------------------------------------------------------- completions */

/* More completions of this command follow. */
#define MEGAPIPE_C_MORE (1 << 0)
/* port and addr are the peer's: 4 or 16 bytes, in network order. */
#define MEGAPIPE_C_IPV4 (1 << 1)
#define MEGAPIPE_C_IPV6 (1 << 2)

/* A completion, 40 bytes. */
struct megapipe_completion {
	__aligned_u64 cookie;			  /* the handle's */
	__s64 result __attribute__((aligned(8))); /* or -errno */
	__u8 op;
	__u8 flags;
	__be16 port;
	__u32 info; /* of RECV: the buffer; with _C_IPV6: the scope's id */
	__u8 addr[16];
};

/* ------------------------------------------------------------- ioctls */

/*
 * The free buffers of a channel for MEGAPIPE_OP_RECV, in the process's memory:
 * a stack of their numbers, from which the module takes and to which the
 * thread gives back. Between ioctls the thread may take some for itself, too.
 */
struct megapipe_free {
	__u32 count;
	__u32 numbers[];
};

/*
 * Make the file a channel.
 *   -EBUSY     it is one
 *   -EPROTO    version is not the module's, which is written there
 */
struct megapipe_setup {
	__u32 version;	     /* MEGAPIPE_ABI_VERSION */
	__u32 flags;	     /* 0 */
	__u32 max_lwsockets; /* most lwsockets open at once */
	__u32 reserved;
};

/* The buffers for MEGAPIPE_OP_RECV; -EBUSY: there are some. */
struct megapipe_buffers {
	__aligned_u64 memory; /* buffer n is at memory + n * stride */
	__aligned_u64 free;   /* struct megapipe_free * */
	__u32 count;
	__u32 size;
	__u32 stride;
	__u32 reserved;
};

/*
 * Make a handle of a file descriptor. A file that isn't a socket is made
 * non-blocking. The same file may have several handles.
 *   -ELOOP   a channel can't be registered
 *   -EPERM   a directory, a disk file (a process's threads do that better), or
 *            another file that can't be polled
 *   -EMFILE  as many are registered as the process may have open
 *   -ENFILE  MEGAPIPE_FILES_MAX are registered
 */
struct megapipe_register {
	__s32 fd;
	__u32 flags; /* 0 */
	__aligned_u64 cookie;
	__u32 handle; /* out */
	__u32 kind;   /* out: enum megapipe_kind */
};

/*
 * Carry out ncommands commands and store up to max completions: what there is,
 * or, if nothing is, after waiting for timeout_ns nanoseconds at most (-1: for
 * ever). For min_wait_ns of them it waits for min completions. With max 0, it
 * only carries out. A timeout below -1 or a min above max is -EINVAL, and
 * nothing is done.
 *
 *   0           done and stored are filled in
 *   -ETIME      likewise; the time was over and there is no completion
 *   -EINTR      likewise; a signal came while waiting
 *   -EFAULT     at completions: those stored there are lost
 *   any other   the command done is wrong (a stale handle: -EBADF; one in
 *               flight of the kind: -EBUSY; a wrong member: -EINVAL), those
 *               before it were carried out
 */
struct megapipe_run {
	__aligned_u64 commands;
	__aligned_u64 completions;
	__u32 ncommands;
	__u32 max;
	__u32 done;   /* out: commands carried out */
	__u32 stored; /* out: completions */
	__s64 timeout_ns __attribute__((aligned(8)));
	__u32 min;
	__u32 min_wait_ns;
};

/*
 * Give an lwsocket a file descriptor (close-on-exec), which is returned. From
 * then on it is an ordinary socket that the handle and the descriptor share:
 * closing the handle leaves the descriptor. Where that fails, for want of
 * descriptors, files or memory, it is what it was.
 */
struct megapipe_fd {
	__u32 handle;
	__u32 reserved;
};

/*
 * setsockopt(), getsockopt(), getsockname() and getpeername() of an lwsocket.
 * len is in and out, as there. A file's are done by its descriptor (-EINVAL).
 *   -ENOSYS  this kernel tells it by a file descriptor only
 */
enum megapipe_socket_call {
	MEGAPIPE_SETSOCKOPT = 1,
	MEGAPIPE_GETSOCKOPT = 2,
	MEGAPIPE_GETSOCKNAME = 3,
	MEGAPIPE_GETPEERNAME = 4,
};

struct megapipe_socket {
	__u32 handle;
	__u32 call;
	__s32 level; /* of options, else 0 */
	__s32 name;
	__aligned_u64 value;
	__u32 len;
	__u32 reserved;
};

/* Can be asked of any open file of the device. */
#define MEGAPIPE_FEATURE_LWSOCKET (1U << 0)   /* without file and inode */
#define MEGAPIPE_FEATURE_GETSOCKOPT (1U << 1) /* all levels, without an fd */

struct megapipe_info {
	__u32 version;
	__u32 features;
	__u32 reserved[6];
};

/* What a channel has done; for reports. */
struct megapipe_stats {
	__aligned_u64 runs;
	__aligned_u64 commands;
	__aligned_u64 completions;
	__aligned_u64 immediate; /* completions at the first try */
	__aligned_u64 wakeups;	 /* handles that were told ready */
	__aligned_u64 sleeps;
	__u32 files;
	__u32 lwsockets;
	__aligned_u64 reserved[4];
};

#define MEGAPIPE_IOC 0xb7
#define MEGAPIPE_IOC_INFO _IOR(MEGAPIPE_IOC, 0, struct megapipe_info)
#define MEGAPIPE_IOC_SETUP _IOWR(MEGAPIPE_IOC, 1, struct megapipe_setup)
#define MEGAPIPE_IOC_BUFFERS _IOW(MEGAPIPE_IOC, 2, struct megapipe_buffers)
#define MEGAPIPE_IOC_REGISTER _IOWR(MEGAPIPE_IOC, 3, struct megapipe_register)
#define MEGAPIPE_IOC_RUN _IOWR(MEGAPIPE_IOC, 4, struct megapipe_run)
#define MEGAPIPE_IOC_FD _IOW(MEGAPIPE_IOC, 5, struct megapipe_fd)
#define MEGAPIPE_IOC_SOCKET _IOWR(MEGAPIPE_IOC, 6, struct megapipe_socket)
#define MEGAPIPE_IOC_STATS _IOR(MEGAPIPE_IOC, 7, struct megapipe_stats)
#define MEGAPIPE_IOC_END _IO(MEGAPIPE_IOC, 8)

#endif
