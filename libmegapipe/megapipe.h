/* SPDX-License-Identifier: MIT */
/*
 * libmegapipe: completion-based network I/O through per-core channels.
 *
 * After S. Han, S. Marshall, B.-G. Chun, S. Ratnasamy: "MegaPipe: A New
 * Programming Interface for Scalable Network I/O", OSDI 2012 ("the paper").
 * This header is the whole public API and its manual.
 *
 * The model (paper, sections 3.2 and 3.3)
 *
 *   A channel is one thread's pipe to the kernel. Files are registered with
 *   it and become handles. Operations are asked for on handles, return at
 *   once, and their results come back as events from mp_dispatch(), one by
 *   one. The library collects requests and pushes them to the kernel in
 *   batches; results are fetched in batches too. The caller sees nothing of
 *   that but fewer system calls.
 *
 *	struct mp_channel *ch;
 *	struct mp_handle *h;
 *	struct mp_event ev;
 *
 *	mp_create(NULL, &ch);
 *	mp_register(ch, listen_fd, NULL, &cpu0, &h);
 *	mp_accept(h, MP_ACCEPT_ALL, true);
 *	while (mp_dispatch(ch, &ev, -1) >= 0) {
 *		switch (ev.cmd) {
 *		case MP_ACCEPT:
 *			mp_register(ch, ev.result, conn, NULL, &conn->h);
 *			mp_recv(conn->h);
 *			...
 *
 * Return values
 *
 *   Functions return 0 (or what they say) or a negative errno. The library
 *   never sets errno, never prints, never aborts. A call that fails has
 *   changed nothing. Common to all calls:
 *     -EINVAL  an argument is NULL or out of its range
 *     -EBADF   the handle is not registered (any more)
 *     -EPERM   called from a thread that doesn't own the channel
 *     -ENOMEM  no memory
 *
 * Threads
 *
 *   A channel belongs to the thread that created or adopted it: only that
 *   thread may use the channel and its handles. Different channels are
 *   independent. To wake a channel from elsewhere, write to an eventfd that is
 *   registered with it. A thread destroys its channel before it ends: later
 *   nobody can, and connections stay open until the process ends.
 *
 * fork()
 *
 *   The parent goes on as if nothing had happened, whatever is in flight. A
 *   child has none of the parent's channels, whichever thread forked:
 *     - Each call with one of them, or with a handle, is -EPERM and does
 *       nothing; so does mp_destroy(). A child may make channels of its own.
 *     - lwsockets, accept queues made for a cpu_mask, accepted descriptors
 *       that no event has reported yet, files that mp_close() was asked to
 *       close, and descriptors of the engine are closed in the child when
 *       fork() returns. So a child delays no peer's end, and takes no
 *       connections, even if it outlives the parent.
 *     - Files registered by their fd, and accepted ones that were reported,
 *       are the child's, too, as always with fork(): a file is closed when
 *       both have closed it.
 *     - Engine uring: a descriptor that the kernel has accepted for a channel
 *       of another thread than the one that forks, and that this channel has
 *       not fetched yet, is the child's, too. lwsockets never are.
 *     - The channels' buffers aren't mapped in the child (madvise(2),
 *       MADV_DONTFORK). Copy what it needs of received bytes before.
 *   That is done by pthread_atfork() handlers, which the first mp_create()
 *   installs. They don't run for vfork(), posix_spawn(), _Fork() and clone():
 *   such a child must call nothing of the library and soon execute a program
 *   or end. All descriptors of the library are close-on-exec.
 *
 * Ownership of memory
 *
 *   Memory passed to mp_read, mp_write, mp_readv, mp_writev, mp_pread,
 *   mp_pwrite, mp_send, mp_sendv, mp_recvmsg and mp_sendmsg belongs to the
 *   channel until the operation's event has been dispatched, or
 *   mp_unregister() or mp_destroy() has returned (but see MP_COPY). The iovec
 *   array itself is copied, and so is the address given to mp_connect().
 *   Memory that mp_recv() hands out belongs to the caller until mp_release().
 *
 * Order
 *
 *   A handle has two lanes. The read lane (accept, read, recv, recvmsg) and
 *   the write lane (connect, write, sendmsg, disconnect, close) each do one
 *   thing after the other in the order asked for; the lanes don't wait for
 *   each other, but reads wait for a connect. A write that fails cancels the
 *   writes behind it (-ECANCELED): those queued, and those that are asked for
 *   before its event has been dispatched. Disconnect and close still happen.
 *   mp_poll() is in neither lane: it waits for nothing but what it asks for.
 *
 * Engines
 *
 *   kernel  the MegaPipe module, /dev/megapipe (kernel/ in the sources)
 *   uring   io_uring, Linux 6.1 or newer
 *   epoll   epoll and non-blocking calls, everywhere
 *   All behave alike. They differ in cost, and where a comment below says so.
 *
 * Disk files
 *
 *   Reading and writing regular files and block devices may have to wait for a
 *   disk, which holds up no channel. Engine uring leaves that to the kernel;
 *   engines kernel and epoll have some threads for it ("megapipe-disk", at most
 *   16 that work, for all channels of the process, started when needed). With
 *   these two
 *     - A request is given up by mp_close(), mp_close_within() at its deadline,
 *       mp_unregister(), mp_destroy() and mp_cancel(), even if the disk never
 *       answers. One that has begun may still be carried out, but the memory
 *       passed to it is the caller's again. mp_cancel() doesn't give up a read
 *       at the file's position that has begun: its event comes when it ends.
 *       Engine uring waits for all that has begun.
 *     - The first request that has to wait takes a duplicate of the handle's
 *       descriptor (else -EMFILE), which is closed with the handle. By that the
 *       process's record locks on the file go, those of fcntl(F_SETLK), also
 *       where mp_unregister() leaves the file to the caller.
 *     - Bytes are copied once more. -EAGAIN: no thread can be started.
 *     - exit, execve() and setuid() wait for threads that hang in a request.
 *
 * RLIMIT_MEMLOCK
 *
 *   The kernel counts the memory of io_uring's rings against this limit of the
 *   process, unless it has CAP_IPC_LOCK. It counts per user, over all of the
 *   user's processes, and what an ended process held it gives back up to some
 *   50 ms after the end. A channel of engine uring takes 32 KiB by default:
 *   20 for completions, 8 for requests, 4 for buffers (Linux 6.18; 6.1 counts
 *   less). 8 MiB, a usual limit, have room for 256 channels of a user. Where
 *   there is no room mp_create() first tries again for a second, since a
 *   server that ended just now may hold it; then it makes the queue of
 *   completions and the number of buffers smaller, down to 12 KiB a channel,
 *   as mp_stats() tells; then it fails with -ENOMEM.
 */
#ifndef MEGAPIPE_H
#define MEGAPIPE_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MP_VERSION "0.2.0"

/* Lightweight sockets are numbered from here (paper, section 4.1). */
#define MP_LWSOCKET_BASE (1 << 30)

/* Limits of mp_options. */
#define MP_BATCH_DEFAULT 32
#define MP_BATCH_MAX 4096
#define MP_BUFFERS_DEFAULT 256
#define MP_BUFFERS_MAX 32768
#define MP_BUFFER_SIZE_DEFAULT 4096
#define MP_BUFFER_SIZE_MAX (1 << 20)
#define MP_LWSOCKETS_DEFAULT 65536
#define MP_LWSOCKETS_MAX (1 << 20)
#define MP_COMPLETIONS_DEFAULT 1024
#define MP_COMPLETIONS_MAX 65536
#define MP_MODERATION_MAX 10000
#define MP_STEAL_MAX 10000000
/* Of mp_choose(). */
#define MP_CHANNELS_MAX 4096

struct mp_channel;
struct mp_handle;

/* ------------------------------------------------------------- channels */

/*
 * Zero means the default. A member out of its range is -EINVAL.
 */
struct mp_options {
	/*
	 * sizeof(struct mp_options), by which the library knows what the
	 * caller was compiled with: later versions add members at the end. Of
	 * a smaller structure the missing members are 0. One that is larger
	 * than the library's is -E2BIG if it sets something that the library
	 * doesn't know. 0, or less than version 0.2 has, is -EINVAL.
	 */
	uint32_t size;

	/*
	 * "kernel", "uring", "epoll", or NULL or "auto": the first of these
	 * that works here. An engine asked for by name is never replaced by
	 * another.
	 */
	const char *engine;

	/*
	 * Requests collected before they are pushed to the kernel (paper,
	 * section 3.4.3). 1 turns batching off: each request is pushed at
	 * once, and one completion is fetched at a time. Engine kernel doesn't
	 * count mp_recv() among them, which only the caller waits for: it goes
	 * with the others, or when there is nothing left to dispatch.
	 */
	unsigned int batch;

	/* Most lwsockets open at once; lowered to RLIMIT_NOFILE. */
	unsigned int max_lwsockets;

	/*
	 * Channel-owned buffers for mp_recv(): how many (a power of two) and
	 * of how many bytes. While all are with the caller, mp_recv()
	 * waits for an mp_release().
	 */
	unsigned int buffers;
	unsigned int buffer_size;

	/*
	 * Entries of the queue of completions between kernel and library (a
	 * power of two). When it overflows, nothing is lost: it costs time.
	 * It and buffers are lowered where RLIMIT_MEMLOCK has no room.
	 */
	unsigned int completions;

	/*
	 * Wake-up moderation: where completions come in quick succession, a
	 * wait goes on for this many microseconds at most to collect some
	 * more; how many, it learns. Pays where clients run on other CPUs and
	 * the server keeps up with them; costs where they share the CPU. 0:
	 * off, and so without batching. Engine epoll takes what is there.
	 */
	unsigned int moderation_us;

	/*
	 * MP_ACCEPT events tell the peer's address. It is cheaper so than by
	 * mp_getpeername(): engine kernel tells it for nothing, engine uring
	 * asks for those of a whole batch.
	 */
	bool accept_peer;

	/*
	 * Balance between channels of a process that share a listening socket
	 * by cpu_masks, each with this option. A channel that has nothing to do
	 * takes connections that wait at another one's queue, if that one was
	 * busy for so many microseconds at least: it handles one event so long,
	 * or goes from one to the next and never finds nothing to do, or gets
	 * no CPU. So where one CPU receives too many connections the others
	 * help, and who is held up holds up no new client, but for those that
	 * it has fetched already. While all are busy, and where nobody is for
	 * that long, connections stay on their core. Queues that are sockets of
	 * the caller's own are left alone.
	 *
	 * 0: off. Else idle channels wake up to look at the queues of others,
	 * 16 times a second where no connection comes, 1,000 times where some
	 * do, and more often while they wait there. 1,000 suits servers whose
	 * handlers take microseconds. mp_stats tells by accepts_stolen.
	 */
	uint64_t steal_us;
};

/*
 * Make a channel for the calling thread, with all the memory that it needs but
 * for what handles and operations take.
 *   -ENOENT  no engine has this name
 *   -ENOSYS  this kernel doesn't have what the engine needs
 *   -EPERM   not allowed here (seccomp, kernel.io_uring_disabled, the mode of
 *            /dev/megapipe)
 *   -ENODEV  engine "kernel": the module isn't loaded
 *   -ENOMEM  no memory, or RLIMIT_MEMLOCK has no room
 *   -EMFILE  no file descriptor is left for the channel
 */
int mp_create(const struct mp_options *options, struct mp_channel **ch);

/*
 * Become the owner of a channel that another thread has made: a program can
 * make the channels of its threads before it starts them, and knows then
 * whether it can have them. The channel must be unused: no mp_register(),
 * mp_dispatch() or mp_wait() was called. 0 without effect for the owner.
 *   -EBUSY  it has been used
 *   -EPERM  it is the parent's, and we are a child
 */
int mp_adopt(struct mp_channel *ch);

/*
 * Choose the engine for a process that is going to have so many channels at
 * the same time, before it makes the first: all get the same one. The options
 * are those that the channels will have. On return 0 their engine, buffers
 * and completions are those that all the channels can have together; pass them
 * to mp_create(). It makes the channels to find out, and ends them: so it
 * tells what holds for the calling user, now. An engine that the options name
 * is kept. Errors as of mp_create(), those of the last engine tried.
 */
int mp_choose(struct mp_options *options, unsigned int channels);

/*
 * Why the last mp_create(), mp_choose() or mp_engine_probe() of the calling
 * thread failed, or why mp_choose() and mp_create() didn't take the engine
 * before the one they took: half a sentence in English for a message to the
 * operator, which names the limit or setting and its value. Valid until the
 * next of these calls. Never NULL.
 */
const char *mp_why(void);

/*
 * End everything in flight, close the channel's lwsockets and accept queues
 * and free it all. Files registered by their fd stay open and are the
 * caller's. NULL is allowed.
 */
void mp_destroy(struct mp_channel *ch);

/* "kernel", "uring" or "epoll". */
const char *mp_engine_name(const struct mp_channel *ch);

/* What an engine can do on this machine. */
struct mp_engine_info {
	int error;	    /* 0: works here; else what mp_create() says */
	char features[256]; /* used, by name, separated by blanks */
	char missing[256];  /* this kernel hasn't got; done without */
};

/* Find out, without making a channel. -ENOENT: no engine has this name. */
int mp_engine_probe(const char *engine, struct mp_engine_info *info);

/* -------------------------------------------------------------- handles */

/*
 * Make a handle of a file: TCP, UDP or UNIX socket, pipe, FIFO, signalfd,
 * timerfd, eventfd, pidfd, disk file, or an lwsocket that an accept on this
 * channel has reported. The cookie comes back in each event. A file may be
 * registered with several channels, but only once with each (-EEXIST).
 *
 * The engine may make the file non-blocking, and leaves it so.
 *
 * cpu_mask (paper, section 3.4.1): for a listening TCP socket only, else
 * NULL. The handle gets an accept queue of its own, which takes the
 * connections whose SYN was processed by one of these CPUs. Register the
 * socket with one channel a core, with disjoint masks that together hold
 * every CPU, and have each thread run on the CPUs of its mask: connections
 * then stay on their core. A CPU that no mask holds is served by a queue
 * that the kernel's hash picks, the socket's own included. What is in the
 * socket's own queue, from before or by hash, goes to any of the handles.
 * Connections that wait in the handle's queue when it is unregistered are
 * reset, as by close(2) of a listening socket (none where the sysctl
 * net.ipv4.tcp_migrate_req is 1). mp_close() accepts them first, if any were
 * ever asked for, and as many lwsockets as are free: it doesn't wait for
 * others to be closed, since the queue would get more connections meanwhile.
 * What is left is reset, and who comes in that moment.
 * A socket that has SO_REUSEPORT and SO_INCOMING_CPU of a CPU of the mask is
 * that CPU's queue by itself, and serves this handle only: so a master process
 * can make the queues, one a CPU, and keep them when a worker ends; the
 * worker may be another user. Nothing of it is reset by leaving.
 *   -EBUSY       a CPU of the mask is taken by another handle of this process
 *   -EADDRINUSE  the socket has connections from before and was bound without
 *                SO_REUSEADDR, or another user listens on its port
 *   -EOPNOTSUPP  the kernel can't steer by CPU (needs Linux 6.2, or a 6.1
 *                stable release)
 *   -EMFILE, -ETIMEDOUT and other errors of socket calls: whether the kernel
 *                can couldn't be found out, by connections over the loopback
 *                interface. That takes a few seconds at most, and is tried
 *                again by the next call.
 *   -EINVAL      the mask is empty, or this is no listening TCP socket
 */
int mp_register(struct mp_channel *ch, int fd, void *cookie,
		const cpu_set_t *cpu_mask, struct mp_handle **handle);

/*
 * Another cpu_mask for a handle that was registered with one. No connection is
 * lost: accept queues move from CPU to CPU, and one that is left over stays
 * open for what the kernel's hash brings. An empty mask gives up all CPUs, so
 * that others can have them: to exchange CPUs, first one handle gives up its
 * own. A socket that was its CPU's queue by itself moves like any other.
 *   -EBUSY   a CPU of the mask is taken by another handle of this process
 *   -EINVAL  the handle has no cpu_mask, or no CPU of the mask exists
 *   -EMFILE and other errors of socket calls: there is no room for more queues
 */
int mp_set_cpu_mask(struct mp_handle *handle, const cpu_set_t *cpu_mask);

/*
 * Leave the channel at once, whatever is in flight: pending completions are
 * cancelled and none is delivered after. On return all memory passed to the
 * handle's operations is the caller's again. An fd stays open; an lwsocket is
 * deallocated, and its connection closed. Bytes that mp_recv() has received
 * and that were not dispatched are lost, with engine uring also those that it
 * has received ahead: mp_lwsocket_to_fd() leaves without such a loss.
 */
int mp_unregister(struct mp_handle *handle);

/* What the handle was registered as: an fd, or an lwsocket's number. */
int mp_handle_id(const struct mp_handle *handle);

/* ----------------------------------------------------------- operations */

enum mp_command {
	MP_ACCEPT = 1,
	MP_CONNECT,
	MP_READ, /* mp_read, mp_readv, mp_pread */
	MP_RECV,
	MP_RECVMSG,
	MP_WRITE, /* mp_write, mp_writev, mp_pwrite, mp_send, mp_sendv */
	MP_SENDMSG,
	MP_DISCONNECT,
	MP_CLOSE,
	MP_POLL,
};

/*
 * Accept count more connections; each is an event whose result is the new
 * fd (close-on-exec, blocking) or lwsocket. MP_ACCEPT_ALL: until told
 * otherwise; 0: stop, and keep what has been accepted already for the next
 * mp_accept(). A certain number is never exceeded: further connections stay
 * in the kernel's queue, for others who accept from it.
 *
 * While descriptors or memory are short (-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM)
 * or a firewall forbids it (-EPERM), accepting is tried again: after 10 to
 * 100 ms, or when a file of this channel is closed. An event tells the error,
 * at most one a second; nothing need be done. Any other error ends accepting:
 * -EINVAL, for example, if the socket doesn't listen any more.
 *
 * When max_lwsockets are open, accepting lwsockets pauses until one is closed.
 * However many listening sockets there are, none is neglected: those that have
 * connections take turns. mp_stats tells by accepts_paused and lwsocket_waits.
 *
 * Engine uring: the kernel wakes one of the channels that wait at a shared
 * listening socket. One that stops before it accepts (count 0, mp_close(),
 * mp_unregister(), mp_destroy(), a shortage) wakes the others. A process that
 * is killed at that moment can't: its connection waits until the next one
 * comes. AF_VSOCK has no such wake-up.
 *
 *   -EBUSY  accepting goes on, or hasn't stopped yet, with another value of
 *           is_lwsocket, or connections are kept that were accepted so
 */
#define MP_ACCEPT_ALL UINT32_MAX
int mp_accept(struct mp_handle *handle, uint32_t count, bool is_lwsocket);

/* Connect a socket. Result 0. */
int mp_connect(struct mp_handle *handle, const struct sockaddr *addr,
	       socklen_t len);

/*
 * Read what is there, at most size bytes; wait if there is nothing. Result:
 * bytes, 0 at the end. A reset connection may show as 0 or -ECONNRESET. Disk
 * files are read at the file's position, or by mp_pread() at offset.
 */
int mp_read(struct mp_handle *handle, void *buf, size_t size);
int mp_readv(struct mp_handle *handle, const struct iovec *iov, int iovcnt);
int mp_pread(struct mp_handle *handle, void *buf, size_t size, off_t offset);

/*
 * Read into a buffer of the channel, which is taken only when there is
 * something to read: idle connections hold no memory. The event's recv.data
 * points to the bytes. Each event with result > 0 is to be given back with
 * mp_release(), in any order. Engine uring receives ahead of the next
 * mp_recv() by a few buffers a handle.
 */
int mp_recv(struct mp_handle *handle);

struct mp_event;
int mp_release(struct mp_channel *ch, const struct mp_event *ev);

/*
 * Write everything. The event comes when all bytes have been taken by the
 * kernel (result: their number), or with an error. There are no short writes,
 * but for datagrams. An iov has IOV_MAX parts at most (-EINVAL). Writing to a
 * pipe that nobody reads raises SIGPIPE, as always: ignore it; sockets don't.
 */
int mp_write(struct mp_handle *handle, const void *buf, size_t size);
int mp_writev(struct mp_handle *handle, const struct iovec *iov, int iovcnt);
int mp_pwrite(struct mp_handle *handle, const void *buf, size_t size,
	      off_t offset);

/*
 * Write to a socket, as mp_write() does unless flags say otherwise:
 *   MP_COPY     the bytes are copied: buf is the caller's again at once
 *   MP_PARTIAL  the event comes as soon as the kernel has taken some bytes of
 *               a stream (result: how many), so that progress shows however
 *               slow the peer is. The rest isn't written: ask for it again. Ask
 *               for no other write before the event: a short one cancels the
 *               writes queued behind it (-ECANCELED)
 * Not both (-EINVAL). -ENOTSOCK: not a socket.
 */
#define MP_COPY (1 << 0)
#define MP_PARTIAL (1 << 1)
int mp_send(struct mp_handle *handle, const void *buf, size_t size,
	    unsigned int flags);
int mp_sendv(struct mp_handle *handle, const struct iovec *iov, int iovcnt,
	     unsigned int flags);

/*
 * recvmsg and sendmsg, for datagrams with addresses and for control
 * messages. The msghdr and all it points to belong to the channel until the
 * event. Result: bytes of this message. For stream sockets the result can be
 * less than what was asked for.
 */
int mp_recvmsg(struct mp_handle *handle, struct msghdr *msg);
int mp_sendmsg(struct mp_handle *handle, const struct msghdr *msg);

/*
 * shutdown(): how is SHUT_RD, SHUT_WR or SHUT_RDWR. Happens after the writes
 * asked for before it. The handle stays. Result 0.
 */
int mp_disconnect(struct mp_handle *handle, int how);

/*
 * Close the file after the writes asked for before, and leave the channel. Each
 * of these writes has its own event before MP_CLOSE: its result, or -ECANCELED
 * behind one that failed. Reads in flight end with -ECANCELED. Accepting stops,
 * and no connection that was accepted is lost: MP_ACCEPT events still come for
 * them, and for those that mp_accept() with count 0 has kept. Nothing may be
 * asked of the handle any more (-EBADF); the MP_CLOSE event is its last, and
 * the memory of the cookie may go then. A peer that takes nothing holds up the
 * writes, and so the close, for as long as it likes.
 */
int mp_close(struct mp_handle *handle);

/*
 * mp_close() that waits for the peer for us microseconds at most. What isn't
 * written by then is given up: the writes end with -ECANCELED, so does a
 * connect, the connection is reset (by SO_LINGER; other files are just closed),
 * and the result of MP_CLOSE is -ETIMEDOUT.
 *   us 0   as close(2) after non-blocking writes: each write asked for before
 *          is tried once, the first that would block ends with -ECANCELED,
 *          and so do those behind it. What the kernel has taken it sends, then
 *          the end. The result of MP_CLOSE is that of close(2).
 *   us -1  mp_close()
 * Time goes by in mp_dispatch(). To have the memory of the writes back at once,
 * use mp_unregister().
 */
int mp_close_within(struct mp_handle *handle, int64_t us);

/*
 * Tell once when the file is ready for some of events: POLLIN, POLLOUT,
 * POLLRDHUP of <poll.h>; POLLERR and POLLHUP count always. Result: those of
 * them that hold, as poll() would say. For files that somebody else's code
 * reads and writes: an epoll instance, the socket of a library. What is ready
 * when asked is told at once. Ask again after each event; asked before its
 * event has been dispatched, it waits for these events instead, and there is
 * still one event. mp_close() ends it with -ECANCELED.
 *
 * On a handle that receives by mp_recv(), what the channel has of it already
 * isn't seen by POLLIN. POLLRDHUP alone may be used beside it: it tells that
 * the peer has ended (POLLRDHUP) or reset (POLLHUP, POLLERR) the connection
 * while nothing is received, even behind bytes that nobody has asked for yet.
 *   -EPERM  a disk file: it is always ready
 */
int mp_poll(struct mp_handle *handle, short events);

/*
 * End what is in flight of one command: MP_READ, MP_RECV, MP_RECVMSG or
 * MP_POLL. Each such operation still has its event: -ECANCELED, or its result
 * if that came first. No byte is lost: what -ECANCELED has left is given by the
 * next one that reads, or is found in the fd of mp_lwsocket_to_fd().
 */
int mp_cancel(struct mp_handle *handle, enum mp_command cmd);

/* --------------------------------------------------------------- events */

struct mp_event {
	enum mp_command cmd;
	ssize_t result; /* see the operation; or -errno */
	void *cookie;	/* of the handle, from mp_register() */
	struct mp_handle *handle;
	union {
		struct {
			/* fetched, and not dispatched yet (Table 1) */
			uint32_t pending;
			/*
			 * With mp_options.accept_peer, and valid until the next
			 * mp_dispatch(). NULL where the engine doesn't get to
			 * know it (kernel: UNIX sockets; uring: these, and all
			 * before Linux 6.7): mp_getpeername() does.
			 */
			socklen_t peer_len;
			const struct sockaddr *peer;
		} accept;
		struct {
			void *data;
			uint32_t buffer; /* for mp_release() */
		} recv;
	};
};

/*
 * The next completion: from memory if there is one, else collected requests
 * are pushed to the kernel and a batch is fetched, waiting timeout_us
 * microseconds at most (-1: for ever, 0: not at all).
 * 1: *ev is filled. 0: the time is over. -EINTR: a signal handler ran; or the
 * kernel has done with an io_uring that this thread had closed before, which
 * interrupts a wait of engine epoll, as it does any other (a ring is closed by
 * mp_destroy(), mp_choose(), a probe, and an mp_create() for which there was no
 * room). Another error is for good: the kernel refuses the channel's calls, for
 * example by a seccomp filter that was installed after mp_create(). Nothing
 * that is in flight ends any more, and all that is left to do is mp_destroy();
 * mp_unregister() returns the error, too, if it can't give memory back.
 */
int mp_dispatch(struct mp_channel *ch, struct mp_event *ev, int64_t timeout_us);

/*
 * The same, but the event is left for the next mp_dispatch(): for what is to be
 * done between waiting and handling, such as reading the clock.
 */
int mp_wait(struct mp_channel *ch, int64_t timeout_us);

/*
 * 1: the next mp_dispatch() finds an event in memory. 0: it would flush and
 * fetch, so an event loop can do what else is due before that.
 */
int mp_pending(const struct mp_channel *ch);

/* Push the collected requests to the kernel now. */
int mp_flush(struct mp_channel *ch);

/* -------------------------------------------------------------- sockets */

/*
 * The paper's fall-back (section 3.4.2): turn an lwsocket into an ordinary
 * fd, which is returned. The handle is gone, as by mp_unregister(), but the
 * connection lives on in the fd. Of the handle of an fd, that fd is returned:
 * the way to leave the channel without losing received bytes.
 *   -EBUSY  operations are in flight or have events to be dispatched, or bytes
 *           have been received ahead (engine uring): ask for them with
 *           mp_recv(), which brings them without waiting. Who always has a
 *           receive in flight ends it by mp_cancel() first.
 */
int mp_lwsocket_to_fd(struct mp_handle *handle);

/*
 * The socket calls, which an lwsocket has no fd for; they work on any
 * socket's handle. Synchronous, with the errors of their namesakes; only the
 * name of a peer that is gone may be told all the same. One system call each;
 * on engine uring for lwsockets so from Linux 6.8, but for options below
 * SOL_SOCKET that are read, and one's own name: they cost three. On engine
 * kernel before Linux 6.7, one of SOL_SOCKET that is read costs three, and the
 * lwsocket has a file from then on.
 */
int mp_setsockopt(struct mp_handle *handle, int level, int name,
		  const void *value, socklen_t len);
int mp_getsockopt(struct mp_handle *handle, int level, int name, void *value,
		  socklen_t *len);
int mp_getpeername(struct mp_handle *handle, struct sockaddr *addr,
		   socklen_t *len);
int mp_getsockname(struct mp_handle *handle, struct sockaddr *addr,
		   socklen_t *len);

/* ----------------------------------------------------------- statistics */

struct mp_stats {
	/*
	 * sizeof(struct mp_stats), set by the caller. So many bytes are filled;
	 * members that the library doesn't know are 0. 0, or less than version
	 * 0.2 has, is -EINVAL.
	 */
	uint32_t size;

	uint64_t requests;	/* operations asked for */
	uint64_t completions;	/* events dispatched */
	uint64_t flushes;	/* times requests were pushed to the kernel */
	uint64_t flushed;	/* requests pushed, all flushes together */
	uint64_t largest_flush; /* requests in one push */
	uint64_t fetches;	/* times completions were fetched */
	uint64_t fetched;	/* completions fetched, all fetches together */
	uint64_t largest_fetch; /* completions in one fetch */
	uint64_t crossings;	/* system calls made for the channel */
	uint64_t accepted;	/* connections */
	uint64_t buffer_waits;	/* mp_recv() had to wait for an mp_release() */
	uint64_t overflows;	/* the completion queue was found overflown */
	uint32_t handles;	/* registered now */
	uint32_t lwsockets;	/* open now */
	uint32_t buffers_held;	/* with the caller now */

	/*
	 * Accept queues that have a connection and wait for an lwsocket: now,
	 * and how often one had to. Above 0: max_lwsockets (or RLIMIT_NOFILE)
	 * is too low for the load.
	 */
	uint32_t accepts_paused;
	uint64_t lwsocket_waits;
	uint64_t accept_failures; /* accepts that are tried again later */
	/* What is in force of mp_options, which limits may have lowered. */
	uint32_t max_lwsockets;
	uint32_t buffers;
	uint32_t completion_entries; /* mp_options.completions */
	uint64_t accepts_stolen;     /* of accepted, by mp_options.steal_us */
};

int mp_stats(const struct mp_channel *ch, struct mp_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
