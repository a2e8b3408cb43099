// SPDX-License-Identifier: MIT
/*
 * Engine kernel: the MegaPipe module behind /dev/megapipe, whose interface is
 * kernel/uapi/megapipe.h. Commands are collected here, carried out in one
 * ioctl, and most of them complete in it.
 *
 * A handle of the library has one in the module, and so has each accept queue.
 * The module doesn't connect: that is the socket call's, which the system's
 * security modules watch; then the module waits for it. It has nothing to do
 * with disk files either: these are disk.c's, whose eventfd it reads for us.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "../kernel/uapi/megapipe.h"
#include "engine.h"
#include "moderation.h"

#define COMPLETIONS_MAX 256
/* What they bring about, besides those that a push takes. */
#define COMMANDS_MIN COMPLETIONS_MAX
#define FLUSH_ROUNDS 16
/* A UNIX socket's full backlog: nothing tells when there is room. */
#define RETRY_US 1000

/*
 * The cookie of a file points to its handle or accept queue, which the
 * operation tells; that of an lwsocket is its number.
 */
#define COOKIE_FILE (1ULL << 63)
#define COOKIE_QUEUE (1ULL << 62)
/* Of the eventfd of disk.c. */
#define COOKIE_DISK (1ULL << 61)
#define COOKIE_FLAGS (COOKIE_FILE | COOKIE_QUEUE)

TAILQ_HEAD(mp__handles, mp_handle);

struct kernel_engine {
	int device;
	uint32_t features;
	struct megapipe_command *commands;
	unsigned int ncommands;
	unsigned int max_commands;
	struct megapipe_completion completions[COMPLETIONS_MAX];
	unsigned int from; /* taken out so far */
	unsigned int stored;
	struct megapipe_free *free;  /* buffers */
	struct mp__handles starved;  /* want one */
	struct mp__handles retrying; /* to connect */
	struct mp__timer retry;
	uint32_t round;		   /* of retrying */
	struct mp__completed disk; /* begin with the next push; all polled */
	uint32_t disk_number;	   /* of the eventfd */
	uint64_t disk_count;	   /* what is read from it */
	struct mp__moderation moderation;
};

static struct kernel_engine *engine_of(struct mp_channel *ch)
{
	return ch->priv;
}

static void retry_connects(struct mp__timer *timer);

/* ----------------------------------------------------------- life cycle */

static int open_device(void)
{
	int fd = open(MEGAPIPE_DEVICE, O_RDWR | O_CLOEXEC), error = errno;

	if (fd >= 0)
		return fd;
	mp__why_no_device(error);
	switch (error) {
	case ENOENT:
	case ENXIO:
		return -ENODEV;
	case EACCES:
		return -EPERM;
	default:
		return -error;
	}
}

/* Another version than ours is as good as none. */
static int ask_module(int device, uint32_t *features)
{
	struct megapipe_info info = { 0 };

	mp__why("the MegaPipe kernel module is of another version than this "
		"library");
	if (ioctl(device, MEGAPIPE_IOC_INFO, &info))
		return errno == ENOTTY ? -ENOSYS : -errno;
	if (info.version != MEGAPIPE_ABI_VERSION)
		return -ENOSYS;
	*features = info.features;
	return 0;
}

static int kernel_probe(struct mp_engine_info *info)
{
	uint32_t features = 0;
	int device, ret = mp__fork_watch();

	if (ret)
		return ret;
	mp__fds_hold(NULL);
	device = open_device();
	ret = device < 0 ? device : ask_module(device, &features);
	if (device >= 0)
		close(device);
	mp__fds_let(NULL);
	if (ret)
		return ret;
	mp__tell_feature(info, true, "direct-descriptors");
	mp__tell_feature(info, features & MEGAPIPE_FEATURE_LWSOCKET,
			 "sockets-without-inode");
	mp__tell_feature(info, features & MEGAPIPE_FEATURE_GETSOCKOPT,
			 "socket-options");
	mp__tell_feature(info, true, "minimum-wait");
	mp__tell_feature(info, !mp__steering(), "partition");
	return 0;
}

static int set_up(struct mp_channel *ch, struct kernel_engine *e)
{
	struct megapipe_setup setup = {
		.version = MEGAPIPE_ABI_VERSION,
		.max_lwsockets = ch->options.max_lwsockets,
	};
	int ret;

	e->device = open_device();
	if (e->device < 0)
		return e->device;
	ret = ask_module(e->device, &e->features);
	if (!ret && ioctl(e->device, MEGAPIPE_IOC_SETUP, &setup)) {
		ret = -errno;
		mp__why("the MegaPipe kernel module makes no channel: %s",
			strerror(-ret));
	}
	if (ret)
		close(e->device);
	else
		mp__fd_own(e->device);
	return ret;
}

static int kernel_create(struct mp_channel *ch)
{
	struct kernel_engine *e = calloc(1, sizeof(*e));
	int ret;

	if (!e)
		return -ENOMEM;
	TAILQ_INIT(&e->starved);
	TAILQ_INIT(&e->retrying);
	TAILQ_INIT(&e->disk);
	e->retry.expire = retry_connects;
	e->max_commands = 2 * ch->options.batch + COMMANDS_MIN;
	e->commands = calloc(e->max_commands, sizeof(*e->commands));
	ret = e->commands ? set_up(ch, e) : -ENOMEM;
	if (ret) {
		free(e->commands);
		free(e);
		return ret;
	}
	ch->priv = e;
	ch->is_direct = true;
	ch->accepts_ahead = COMPLETIONS_MAX;
	return 0;
}

/* At once, even if a child still has the device. */
static void kernel_destroy(struct mp_channel *ch)
{
	struct kernel_engine *e = engine_of(ch);

	ioctl(e->device, MEGAPIPE_IOC_END);
	mp__fd_close(ch, e->device);
	free(e->commands);
	free(e->free);
	free(e);
}

/* -------------------------------------------------------------- running */

/*
 * One crossing. Without room for completions what would bring them stays in the
 * module: for when we are in the midst of completions.
 */
static int run(struct mp_channel *ch, struct megapipe_run *run)
{
	struct kernel_engine *e = engine_of(ch);
	int ret;

	if (ch->broken) {
		e->ncommands = 0;
		return ch->broken;
	}
	run->commands = (uintptr_t)e->commands;
	run->ncommands = e->ncommands;
	run->completions = (uintptr_t)e->completions;
	ch->stats.crossings++;
	mp__account_flush(ch);
	ret = ioctl(e->device, MEGAPIPE_IOC_RUN, run) ? -errno : 0;
	e->ncommands = 0;
	e->from = 0;
	e->stored = run->stored;
	return mp__answered(ch, ret);
}

MP__RARELY static void push_commands(struct mp_channel *ch)
{
	struct megapipe_run submit = { .max = 0 };
	struct kernel_engine *e = engine_of(ch);
	unsigned int from = e->from, stored = e->stored;

	run(ch, &submit);
	e->from = from;
	e->stored = stored;
}

MP__INLINE struct megapipe_command *command(struct mp_channel *ch, int op,
					    uint32_t number)
{
	struct kernel_engine *e = engine_of(ch);
	struct megapipe_command *cmd;

	if (MP__UNLIKELY(e->ncommands == e->max_commands))
		push_commands(ch);
	cmd = &e->commands[e->ncommands++];
	*cmd = (struct megapipe_command){ .op = op, .handle = number };
	return cmd;
}

static void close_number(struct mp_channel *ch, uint32_t number)
{
	struct megapipe_command *cmd = command(ch, MEGAPIPE_OP_CLOSE, number);

	cmd->flags = MEGAPIPE_F_SILENT;
	cmd->arg = -1;
}

/* ---------------------------------------------------------------- handles */

static int register_fd(struct mp_channel *ch, int fd, uint64_t cookie,
		       uint32_t *number)
{
	struct megapipe_register reg = {
		.fd = fd,
		.cookie = cookie | COOKIE_FILE,
	};

	ch->stats.crossings++;
	if (ioctl(engine_of(ch)->device, MEGAPIPE_IOC_REGISTER, &reg))
		return -errno;
	*number = reg.handle;
	return 0;
}

static int kernel_attach(struct mp_handle *handle)
{
	struct mp_channel *ch = handle->ch;
	struct mp__link *link = &handle->in_module;

	memset(link, 0, sizeof(*link));
	if (handle->kind == MP__DISK)
		return 0;
	if (handle->slot < 0) {
		int ret = register_fd(ch, handle->fd, (uintptr_t)handle,
				      &link->number);

		link->is_known = !ret;
		return ret;
	}
	link->number = ch->lwsockets[handle->slot].number;
	link->is_known = true;
	ch->lwsockets[handle->slot].handle = handle;
	return 0;
}

static void starve(struct mp_handle *handle)
{
	handle->in_module.is_starved = true;
	handle->ch->stats.buffer_waits++;
	TAILQ_INSERT_TAIL(&engine_of(handle->ch)->starved, handle,
			  in_module.waiting);
}

static void unstarve(struct mp_handle *handle)
{
	if (handle->in_module.is_starved)
		TAILQ_REMOVE(&engine_of(handle->ch)->starved, handle,
			     in_module.waiting);
	handle->in_module.is_starved = false;
}

/* The file goes back to the caller, who may close it: the module lets go now.
 */
static void kernel_detach(struct mp_handle *handle)
{
	struct mp_channel *ch = handle->ch;
	struct mp__listener *l = handle->listener;
	bool is_gone = false;

	unstarve(handle);
	for (unsigned int i = 0; l && i < l->nqueues; i++) {
		if (!l->queues[i]->is_in_module)
			continue;
		close_number(ch, l->queues[i]->number);
		l->queues[i]->is_in_module = false;
		is_gone = true;
	}
	if (handle->in_module.is_known && handle->slot < 0) {
		close_number(ch, handle->in_module.number);
		is_gone = true;
	}
	handle->in_module.is_known = false;
	if (is_gone)
		push_commands(ch);
}

/* ------------------------------------------------------------- operations */

/* A length has 32 bits: what is longer goes as a vector. */
static bool is_plain(const struct mp__op *op)
{
	return op->iovcnt == 1 && op->iov->iov_len <= INT32_MAX;
}

static void prepare_transfer(struct megapipe_command *cmd, struct mp__op *op)
{
	if (is_plain(op)) {
		cmd->addr = (uintptr_t)op->iov->iov_base;
		cmd->len = op->iov->iov_len;
	} else {
		cmd->flags |= MEGAPIPE_F_VECTOR;
		cmd->addr = (uintptr_t)op->iov;
		cmd->len = op->iovcnt;
	}
}

static int module_op(const struct mp__op *op)
{
	if (MP__UNLIKELY(op->is_partial))
		return MEGAPIPE_OP_SENDMSG;
	switch (op->cmd) {
	case MP_READ:
		return MEGAPIPE_OP_READ;
	case MP_RECV:
		return MEGAPIPE_OP_RECV;
	case MP_RECVMSG:
		return MEGAPIPE_OP_RECVMSG;
	case MP_WRITE:
		return MEGAPIPE_OP_WRITE;
	case MP_SENDMSG:
		return MEGAPIPE_OP_SENDMSG;
	case MP_DISCONNECT:
		return MEGAPIPE_OP_DISCONNECT;
	case MP_CLOSE:
		return MEGAPIPE_OP_CLOSE;
	case MP_CONNECT:
		return MEGAPIPE_OP_CONNECT;
	default:
		return MEGAPIPE_OP_POLL;
	}
}

/* A message can be sent in part, a write can't. */
MP__RARELY static void prepare_partial(struct megapipe_command *cmd,
				       struct mp__op *op)
{
	op->msg =
		(struct msghdr){ .msg_iov = op->iov, .msg_iovlen = op->iovcnt };
	cmd->addr = (uintptr_t)&op->msg;
}

static void prepare(struct megapipe_command *cmd, struct mp__op *op)
{
	switch (op->cmd) {
	case MP_RECVMSG:
	case MP_SENDMSG:
		cmd->addr = (uintptr_t)op->caller_msg;
		break;
	case MP_DISCONNECT:
		cmd->arg = op->how;
		break;
	case MP_POLL:
		cmd->arg = (unsigned short)op->events;
		break;
	case MP_CLOSE:
		cmd->arg = op->handle->fd;
		break;
	default:
		break;
	}
}

/*
 * What is received is fetched when there is nothing else to do, and by then all
 * is pushed: no need for a crossing before that. For the rest there may be.
 */
MP__INLINE void count_request(const struct mp__op *op)
{
	struct mp_channel *ch = op->handle->ch;

	if (op->cmd == MP_RECV && ch->options.batch > 1)
		ch->unhurried++;
	else
		ch->unflushed++;
}

static void submit_op(struct mp__op *op)
{
	struct mp_handle *handle = op->handle;
	struct megapipe_command *cmd =
		command(handle->ch, module_op(op), handle->in_module.number);

	count_request(op);
	if (MP__UNLIKELY(op->is_partial))
		prepare_partial(cmd, op);
	else if (op->cmd == MP_READ || op->cmd == MP_WRITE)
		prepare_transfer(cmd, op);
	else if (op->cmd != MP_RECV)
		prepare(cmd, op);
}

/*
 * With the command to close it on its way, who gets the slot after it is
 * another socket.
 */
MP__RARELY static void begin_close(struct mp__op *op)
{
	struct mp_handle *handle = op->handle;
	unsigned int slot = handle->slot;

	if (handle->fd >= 0)
		mp__fd_disown(handle->fd);
	submit_op(op);
	handle->in_module.is_known = false;
	if (handle->slot < 0)
		return;
	handle->slot = -1;
	mp__lwsocket_forget(handle->ch, slot);
}

/* ------------------------------------------------------------- connecting */

static void retry_later(struct mp_handle *handle)
{
	struct kernel_engine *e = engine_of(handle->ch);

	handle->in_module.is_retrying = true;
	handle->in_module.round = e->round;
	TAILQ_INSERT_TAIL(&e->retrying, handle, in_module.waiting);
	if (!e->retry.ch)
		mp__timer_set(handle->ch, &e->retry, RETRY_US);
}

static void stop_retrying(struct mp_handle *handle)
{
	handle->in_module.is_retrying = false;
	TAILQ_REMOVE(&engine_of(handle->ch)->retrying, handle,
		     in_module.waiting);
}

static int connect_now(struct mp__op *op)
{
	int ret;

	do {
		op->handle->ch->stats.crossings++;
		ret = connect(op->handle->fd, (struct sockaddr *)&op->addr,
			      op->addr_len);
	} while (ret && errno == EINTR);
	return ret ? -errno : 0;
}

static void try_connect(struct mp__op *op)
{
	int ret = connect_now(op);

	if (ret == -EINPROGRESS)
		submit_op(op);
	else if (ret == -EAGAIN)
		retry_later(op->handle);
	else
		mp__op_done(op, ret);
}

MP__RARELY static void begin_connect(struct mp__op *op)
{
	mp__make_nonblocking(op->handle->ch, op->handle->fd);
	try_connect(op);
}

/*
 * Who comes back into the list waits for the next round. Nobody is remembered
 * from one to the next: each may make others go.
 */
static void retry_connects(struct mp__timer *timer)
{
	struct kernel_engine *e =
		MP__CONTAINER(timer, struct kernel_engine, retry);
	uint32_t round = ++e->round;
	struct mp_handle *handle;

	while ((handle = TAILQ_FIRST(&e->retrying)) &&
	       handle->in_module.round != round) {
		stop_retrying(handle);
		try_connect(STAILQ_FIRST(&handle->wr.ops));
	}
}

/* ------------------------------------------------------------- disk files */

/* Not at once: what is over at once would start the next one in here. */
MP__RARELY static void put_off(struct mp__op *op)
{
	op->polled = true;
	TAILQ_INSERT_TAIL(&engine_of(op->handle->ch)->disk, op, in_channel);
	op->handle->ch->unflushed++;
}

static void no_longer_put_off(struct mp__op *op)
{
	op->polled = false;
	TAILQ_REMOVE(&engine_of(op->handle->ch)->disk, op, in_channel);
}

static int close_disk(struct mp__op *op)
{
	struct mp_handle *handle = op->handle;

	return mp__disk_close(handle->ch, handle->fd) ? -errno : 0;
}

static void begin_disk(struct mp__op *op)
{
	struct kernel_engine *e = engine_of(op->handle->ch);

	if (op->cmd == MP_CLOSE) {
		mp__op_done(op, close_disk(op));
	} else if (op->cmd == MP_RECV && !e->free->count) {
		starve(op->handle);
	} else {
		if (op->cmd == MP_RECV)
			op->buffer = e->free->numbers[--e->free->count];
		mp__disk_start(op);
	}
}

static void begin_disks(struct mp_channel *ch)
{
	struct mp__op *op;

	while ((op = TAILQ_FIRST(&engine_of(ch)->disk))) {
		no_longer_put_off(op);
		begin_disk(op);
	}
}

/* Closing isn't given up: nobody else would close the file. */
static void cancel_put_off(struct mp__op *op)
{
	no_longer_put_off(op);
	mp__op_done(op, op->cmd == MP_CLOSE ? close_disk(op) : -ECANCELED);
}

static void read_eventfd(struct mp_channel *ch)
{
	struct kernel_engine *e = engine_of(ch);
	struct megapipe_command *cmd =
		command(ch, MEGAPIPE_OP_READ, e->disk_number);

	cmd->addr = (uintptr_t)&e->disk_count;
	cmd->len = sizeof(e->disk_count);
}

static int kernel_await(struct mp_channel *ch, int fd)
{
	int ret = register_fd(ch, fd, COOKIE_DISK, &engine_of(ch)->disk_number);

	if (!ret)
		read_eventfd(ch);
	return ret;
}

/* ------------------------------------------------------------ start, cancel */

static void kernel_start(struct mp__op *op)
{
	if (MP__UNLIKELY(op->handle->kind == MP__DISK))
		put_off(op);
	else if (op->cmd == MP_CONNECT)
		begin_connect(op);
	else if (op->cmd == MP_CLOSE)
		begin_close(op);
	else
		submit_op(op);
}

static unsigned int lane_bit(struct mp__op *op)
{
	struct mp__lane *lane = mp__lane_of(op->handle, op->cmd);

	if (lane == &op->handle->rd)
		return MEGAPIPE_LANE_READ;
	return lane == &op->handle->wr ? MEGAPIPE_LANE_WRITE :
					 MEGAPIPE_LANE_POLL;
}

static bool is_being_closed(const struct mp_handle *handle)
{
	return handle->wr.busy &&
	       STAILQ_FIRST(&handle->wr.ops)->cmd == MP_CLOSE;
}

static void kernel_cancel(struct mp__op *op)
{
	struct mp_handle *handle = op->handle;

	/*
	 * Closing isn't given up: nobody else would close the file. It ends the
	 * others, and the module takes no command for the handle after it.
	 */
	if (MP__UNLIKELY(op->in_pool))
		mp__disk_cancel(op);
	else if (handle->kind == MP__DISK && op->polled)
		cancel_put_off(op);
	else if (is_being_closed(handle))
		return;
	else if (op->cmd == MP_CONNECT && handle->in_module.is_retrying) {
		stop_retrying(handle);
		mp__op_done(op, -ECANCELED);
	} else if (op->cmd == MP_RECV && handle->in_module.is_starved) {
		unstarve(handle);
		mp__op_done(op, -ECANCELED);
	} else {
		command(handle->ch, MEGAPIPE_OP_CANCEL,
			handle->in_module.number)
			->arg = lane_bit(op);
	}
}

/* The module ends what is in flight before it closes. */
static bool kernel_can_close(const struct mp_handle *handle)
{
	return !handle->listener && handle->kind != MP__DISK;
}

static void kernel_quiesce(struct mp_handle *handle)
{
	(void)handle;
}

/* -------------------------------------------------------------- accepting */

static int register_queue(struct mp__queue *q)
{
	int ret = q->is_in_module ?
			  0 :
			  register_fd(q->handle->ch, q->fd,
				      (uintptr_t)q | COOKIE_QUEUE, &q->number);

	if (!ret)
		q->is_in_module = true;
	return ret;
}

static void poll_queue(struct mp__queue *q)
{
	struct megapipe_command *cmd =
		command(q->handle->ch, MEGAPIPE_OP_POLL, q->number);

	cmd->arg = POLLIN;
	if (!q->polls && mp__queue_is_nowait(q))
		cmd->flags = MEGAPIPE_F_NOWAIT;
	q->handle->ch->unflushed++;
}

/*
 * Descriptors are accepted by the system call, which security modules watch.
 * The module tells when.
 */
static int accept_descriptors(struct mp__queue *q)
{
	int ret = q->is_nonblocking ?
			  0 :
			  mp__make_nonblocking(q->handle->ch, q->fd);

	if (ret)
		return ret;
	q->is_nonblocking = true;
	poll_queue(q);
	return 0;
}

/* There are some, as the module tells: or none, or why it doesn't tell. */
static void take_descriptors(struct mp__queue *q, int told)
{
	if (told <= 0 || mp__queue_is_ending(q)) {
		mp__accepted(q, told < 0 ? told : -EAGAIN, false);
		return;
	}
	for (int i = 0; i < MP__ACCEPTS_A_TURN; i++) {
		int fd = mp__accept4(q);
		bool is_last = fd < 0 || !q->multi;

		if (fd == -EAGAIN && !mp__queue_is_nowait(q))
			break;
		mp__accepted(q, fd, !is_last);
		/* what is armed from here on is another one */
		if (is_last)
			return;
		if (mp__queue_is_ending(q)) {
			mp__accepted(q, -ECANCELED, false);
			return;
		}
	}
	poll_queue(q);
}

static int kernel_accept(struct mp__queue *q)
{
	struct mp_channel *ch = q->handle->ch;
	struct megapipe_command *cmd;
	int ret = register_queue(q);

	if (ret)
		return ret;
	if (!q->handle->listener->is_lwsocket)
		return accept_descriptors(q);
	cmd = command(ch, MEGAPIPE_OP_ACCEPT, q->number);
	ch->unflushed++;
	cmd->len = q->multi ? 0 : 1;
	if (ch->options.accept_peer)
		cmd->flags |= MEGAPIPE_F_PEER;
	if (mp__queue_is_nowait(q))
		cmd->flags |= MEGAPIPE_F_NOWAIT;
	return 0;
}

static int kernel_accept_poll(struct mp__queue *q)
{
	int ret = register_queue(q);

	if (!ret)
		poll_queue(q);
	return ret;
}

static void kernel_accept_stop(struct mp__queue *q)
{
	bool polls = q->polls || !q->handle->listener->is_lwsocket;

	command(q->handle->ch, MEGAPIPE_OP_CANCEL, q->number)->arg =
		polls ? MEGAPIPE_LANE_POLL : MEGAPIPE_LANE_READ;
}

static void kernel_accept_forget(struct mp__queue *q)
{
	if (!q->is_in_module)
		return;
	close_number(q->handle->ch, q->number);
	q->is_in_module = false;
	q->is_nonblocking = false;
	push_commands(q->handle->ch);
}

static void take_peer(struct mp__queue *q, const struct megapipe_completion *c)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&q->peer;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&q->peer;

	q->peer_len = 0;
	if (c->flags & MEGAPIPE_C_IPV4) {
		*v4 = (struct sockaddr_in){ .sin_family = AF_INET,
					    .sin_port = c->port };
		memcpy(&v4->sin_addr, c->addr, sizeof(v4->sin_addr));
		q->peer_len = sizeof(*v4);
	} else if (c->flags & MEGAPIPE_C_IPV6) {
		*v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					     .sin6_port = c->port,
					     .sin6_scope_id = c->info };
		memcpy(&v6->sin6_addr, c->addr, sizeof(v6->sin6_addr));
		q->peer_len = sizeof(*v6);
	}
}

static void accepted(struct mp__queue *q, const struct megapipe_completion *c)
{
	int64_t result = c->result;

	if (c->op == MEGAPIPE_OP_POLL && !q->polls) {
		take_descriptors(q, result);
		return;
	}
	if (c->op == MEGAPIPE_OP_ACCEPT)
		take_peer(q, c);
	if (result >= 0 && c->op == MEGAPIPE_OP_ACCEPT) {
		result &= MEGAPIPE_PLACE_MASK;
		q->handle->ch->lwsockets[result].number = c->result;
	}
	mp__accepted(q, result, c->flags & MEGAPIPE_C_MORE);
}

static void kernel_close_slot(struct mp_channel *ch, unsigned int slot)
{
	close_number(ch, ch->lwsockets[slot].number);
}

/* ------------------------------------------------------------ completions */

static struct mp__op *op_of(struct mp_handle *handle, int module_op)
{
	switch (module_op) {
	case MEGAPIPE_OP_READ:
	case MEGAPIPE_OP_RECV:
	case MEGAPIPE_OP_RECVMSG:
		return STAILQ_FIRST(&handle->rd.ops);
	case MEGAPIPE_OP_POLL:
		return STAILQ_FIRST(&handle->poll.ops);
	default:
		return STAILQ_FIRST(&handle->wr.ops);
	}
}

static void op_completed(struct mp__op *op, const struct megapipe_completion *c)
{
	ssize_t result = c->result;

	if (op->canceled && (result == -EINTR || result == -ENOBUFS))
		result = -ECANCELED;
	if (result == -EINTR) {
		submit_op(op);
		return;
	}
	if (op->cmd == MP_RECV && result == -ENOBUFS) {
		starve(op->handle);
		return;
	}
	if (op->cmd == MP_RECV && result > 0)
		op->buffer = c->info;
	if (MP__UNLIKELY(op->cmd == MP_POLL))
		mp__poll_done(op, result);
	else
		mp__op_done(op, result);
}

MP__INLINE void *whose(const struct mp_channel *ch,
		       const struct megapipe_completion *c)
{
	if (c->cookie & COOKIE_FILE)
		return (void *)(uintptr_t)(c->cookie & ~COOKIE_FLAGS);
	return ch->lwsockets[c->cookie & MEGAPIPE_PLACE_MASK].handle;
}

/* Or it was interrupted: nothing is lost by looking. */
MP__RARELY static void disk_done(struct mp_channel *ch)
{
	read_eventfd(ch);
	mp__disk_finish(ch);
}

static void complete_all(struct mp_channel *ch)
{
	struct kernel_engine *e = engine_of(ch);

	while (e->from < e->stored) {
		const struct megapipe_completion *c =
			&e->completions[e->from++];

		if (c->cookie & COOKIE_QUEUE)
			accepted(whose(ch, c), c);
		else if (MP__UNLIKELY(c->cookie & COOKIE_DISK))
			disk_done(ch);
		else
			op_completed(op_of(whose(ch, c), c->op), c);
	}
}

/* ------------------------------------------------------- flush and fetch */

/*
 * Unbatched, completions are left for the fetch, one by one. They may bring
 * about commands: of a listener, as long as clients come.
 */
static int kernel_flush(struct mp_channel *ch)
{
	struct kernel_engine *e = engine_of(ch);

	begin_disks(ch);
	for (int i = 0; e->ncommands && i < FLUSH_ROUNDS; i++) {
		struct megapipe_run now = {
			.max = ch->options.batch == 1 ? 0 : COMPLETIONS_MAX,
		};
		int ret = run(ch, &now);

		complete_all(ch);
		if (ret && ret != -ETIME && ret != -EINTR)
			return ret;
	}
	return 0;
}

static void moderate(struct mp_channel *ch, struct megapipe_run *wait)
{
	struct kernel_engine *e = engine_of(ch);
	uint32_t moderation_us = ch->options.moderation_us;

	if (!moderation_us || ch->is_urgent || !wait->timeout_ns)
		return;
	wait->min = mp__moderation_target(&e->moderation);
	if (wait->min > wait->max)
		wait->min = wait->max;
	if (wait->timeout_ns > 0 && wait->timeout_ns <= moderation_us * 1000LL)
		wait->min = 1;
	wait->min_wait_ns = moderation_us * 1000;
}

static int64_t in_ns(int64_t timeout_us)
{
	if (timeout_us > INT64_MAX / 1000)
		return -1;
	return timeout_us < 0 ? -1 : timeout_us * 1000;
}

static void receive_again(struct mp_handle *handle)
{
	struct mp__op *op = STAILQ_FIRST(&handle->rd.ops);

	unstarve(handle);
	if (handle->kind == MP__DISK)
		put_off(op);
	else
		submit_op(op);
}

static bool is_hungry(const struct kernel_engine *e)
{
	return !TAILQ_EMPTY(&e->starved) && e->free->count;
}

/*
 * Whom a release let go on may have nothing to receive, or come to its end:
 * then the buffer is for the next. As many try as there are buffers. False:
 * nobody has to.
 */
static bool feed(struct kernel_engine *e)
{
	uint32_t left = is_hungry(e) ? e->free->count : 0;
	bool is_any = left > 0;
	struct mp_handle *handle;

	while (left-- && (handle = TAILQ_FIRST(&e->starved)))
		receive_again(handle);
	return is_any;
}

static int fetch_some(struct mp_channel *ch, int64_t deadline_us)
{
	struct kernel_engine *e = engine_of(ch);
	struct megapipe_run wait = {
		.max = ch->options.batch == 1 ? 1 : COMPLETIONS_MAX,
	};
	unsigned int n;
	int ret;

	begin_disks(ch);
	if (TAILQ_EMPTY(&ch->completed))
		wait.timeout_ns = in_ns(mp__left_us(deadline_us));
	moderate(ch, &wait);
	ret = run(ch, &wait);
	n = e->stored;
	mp__account_fetch(ch, n);
	if (wait.min)
		mp__moderate(&e->moderation, n, ch->options.batch);
	complete_all(ch);
	return n ? 0 : ret;
}

/* Nobody sleeps while there are buffers and some wait for one. */
static int kernel_fetch(struct mp_channel *ch, int64_t deadline_us)
{
	struct kernel_engine *e = engine_of(ch);
	int ret;

	do
		ret = fetch_some(ch, is_hungry(e) ? 0 : deadline_us);
	while (!e->stored && feed(e));
	return ret;
}

/* ----------------------------------------------------------------- buffers */

static int kernel_buffers(struct mp_channel *ch)
{
	struct kernel_engine *e = engine_of(ch);
	uint32_t count = ch->options.buffers;
	struct megapipe_buffers buffers = {
		.memory = (uintptr_t)mp__buffer(ch, 0),
		.count = count,
		.size = ch->options.buffer_size,
		.stride = ch->options.buffer_size,
	};

	if (count > 1)
		buffers.stride = mp__buffer(ch, 1) - mp__buffer(ch, 0);
	e->free = malloc(sizeof(*e->free) + count * sizeof(uint32_t));
	if (!e->free)
		return -ENOMEM;
	e->free->count = count;
	for (uint32_t i = 0; i < count; i++)
		e->free->numbers[i] = count - 1 - i;
	buffers.free = (uintptr_t)e->free;
	ch->stats.crossings++;
	if (ioctl(e->device, MEGAPIPE_IOC_BUFFERS, &buffers)) {
		free(e->free);
		e->free = NULL;
		return -errno;
	}
	return 0;
}

static void kernel_release(struct mp_channel *ch, uint32_t buffer)
{
	struct kernel_engine *e = engine_of(ch);
	struct mp_handle *handle = TAILQ_FIRST(&e->starved);

	e->free->numbers[e->free->count++] = buffer;
	if (handle)
		receive_again(handle);
}

/* ------------------------------------------------- sockets without an fd */

static int kernel_install_fd(struct mp_channel *ch, unsigned int slot)
{
	struct megapipe_fd arg = { .handle = ch->lwsockets[slot].number };
	int fd;

	ch->stats.crossings++;
	fd = ioctl(engine_of(ch)->device, MEGAPIPE_IOC_FD, &arg);
	return fd < 0 ? -errno : fd;
}

static int socket_call(struct mp_handle *handle, int call, int level, int name,
		       const void *value, socklen_t *len)
{
	struct megapipe_socket arg = {
		.handle = handle->in_module.number,
		.call = call,
		.level = level,
		.name = name,
		.value = (uintptr_t)value,
		.len = *len,
	};

	handle->ch->stats.crossings++;
	if (ioctl(engine_of(handle->ch)->device, MEGAPIPE_IOC_SOCKET, &arg))
		return -errno;
	*len = arg.len;
	return 0;
}

static int kernel_setsockopt(struct mp_handle *handle, int level, int name,
			     const void *value, socklen_t len)
{
	return socket_call(handle, MEGAPIPE_SETSOCKOPT, level, name, value,
			   &len);
}

static int kernel_getsockopt(struct mp_handle *handle, int level, int name,
			     void *value, socklen_t *len)
{
	return socket_call(handle, MEGAPIPE_GETSOCKOPT, level, name, value,
			   len);
}

static int kernel_getpeername(struct mp_handle *handle, struct sockaddr *addr,
			      socklen_t *len)
{
	return socket_call(handle, MEGAPIPE_GETPEERNAME, 0, 0, addr, len);
}

static int kernel_getsockname(struct mp_handle *handle, struct sockaddr *addr,
			      socklen_t *len)
{
	return socket_call(handle, MEGAPIPE_GETSOCKNAME, 0, 0, addr, len);
}

/* Accepted ones are all taken out before we return to the caller. */
static void kernel_each_queued(struct mp_channel *ch, void (*tell)(int fd))
{
	const struct kernel_engine *e = engine_of(ch);

	for (unsigned int i = 0; i < e->ncommands; i++)
		if (e->commands[i].op == MEGAPIPE_OP_CLOSE &&
		    (int)e->commands[i].arg >= 0)
			tell(e->commands[i].arg);
}

const struct mp__engine mp__engine_kernel = {
	.name = "kernel",
	.probe = kernel_probe,
	.create = kernel_create,
	.destroy = kernel_destroy,
	.attach = kernel_attach,
	.detach = kernel_detach,
	.start = kernel_start,
	.cancel = kernel_cancel,
	.accepts = 1,
	.is_fair = true,
	.accept = kernel_accept,
	.accept_poll = kernel_accept_poll,
	.accept_stop = kernel_accept_stop,
	.accept_forget = kernel_accept_forget,
	.can_close = kernel_can_close,
	.quiesce = kernel_quiesce,
	.close_slot = kernel_close_slot,
	.flush = kernel_flush,
	.fetch = kernel_fetch,
	.buffers = kernel_buffers,
	.release = kernel_release,
	.install_fd = kernel_install_fd,
	.setsockopt = kernel_setsockopt,
	.getsockopt = kernel_getsockopt,
	.getpeername = kernel_getpeername,
	.getsockname = kernel_getsockname,
	.each_queued = kernel_each_queued,
	.await = kernel_await,
};
