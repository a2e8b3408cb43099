// SPDX-License-Identifier: GPL-2.0
/*
 * Channels: commands in, completions out, and the wait in between.
 */
#include <linux/hrtimer.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "channel.h"

/* Handles looked at before others get the CPU. */
#define MP_LOOKS_A_TURN 64

/* ---------------------------------------------------------- life cycle */

/*
 * The process is gone, or executes another program. Somebody else may still
 * have the file, a child or a UNIX socket's queue: that must not keep its
 * connections. The owner isn't in an ioctl then: it would need the memory.
 *
 * A notifier of its memory, for want of something else that tells: flush() of
 * the file comes where the process has a descriptor of it at its end, and not
 * where the last one is on its way through a socket that the channel itself
 * has registered; each would keep the other for ever. Other notifiers of the
 * machine wait for what is done here: so it waits for nobody. Sockets of which
 * others have descriptors are let go of, and only those are closed whose lock
 * nobody else can have.
 */
static void mp_process_ends(struct mmu_notifier *process, struct mm_struct *mm)
{
	mp_channel_end(container_of(process, struct mp_channel, process));
}

static const struct mmu_notifier_ops mp_process_ops = {
	.release = mp_process_ends,
};

struct mp_channel *mp_channel_new(u32 max_lwsockets)
{
	struct mp_channel *ch = kzalloc(sizeof(*ch), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!ch)
		return ERR_PTR(-ENOMEM);
	ch->mm = current->mm;
	mutex_init(&ch->ending);
	init_llist_head(&ch->ready);
	INIT_LIST_HEAD(&ch->todo);
	INIT_LIST_HEAD(&ch->spare);
	mp_table_init(&ch->files_table, MEGAPIPE_FILES_MAX,
		      MEGAPIPE_HANDLE_FILE);
	mp_table_init(&ch->lwsockets, max_lwsockets, 0);
	ch->process.ops = &mp_process_ops;
	ret = mmu_notifier_register(&ch->process, ch->mm);
	if (ret) {
		kfree(ch);
		/* a signal that is pending: after it, the call starts again */
		return ERR_PTR(ret == -EINTR ? -ERESTARTNOINTR : ret);
	}
	return ch;
}

static void mp_end_all(struct mp_table *table)
{
	for (u32 i = 0; i < table->size; i++) {
		struct mp_handle *h = table->places[i].handle;

		if (!h)
			continue;
		/* nobody is told any more, so it is as if never asked for */
		h->fd = -1;
		mp_handle_end(h);
		cond_resched();
	}
	mp_table_free(table);
}

/* False: the process is being killed. Others get the CPU now and then. */
static bool mp_may_go_on(unsigned int looks)
{
	if (looks % MP_LOOKS_A_TURN)
		return true;
	if (fatal_signal_pending(current))
		return false;
	cond_resched();
	return true;
}

/*
 * Look at those on the ready list, or let them wait behind others. Ended
 * handles are there, too: those before them in the list may have ended them.
 */
static void mp_look_at_ready(struct mp_channel *ch)
{
	bool at_once = list_empty(&ch->todo);
	struct llist_node *list;
	struct mp_handle *h, *next;
	int n = 0;

	if (llist_empty(&ch->ready))
		return;
	list = llist_reverse_order(llist_del_all(&ch->ready));
	llist_for_each_entry_safe (h, next, list, ready) {
		n++;
		/* a wake-up from here on puts it there again, ... */
		clear_bit(0, &h->queued);
		/* ... and one before is seen when we look at it */
		smp_mb__after_atomic();
		if (unlikely(h->is_dead)) {
			mp_handle_free(ch, h);
		} else if (likely(at_once && mp_has_room(ch))) {
			mp_look_at(h);
			at_once = mp_may_go_on(n);
		} else {
			mp_todo(h);
		}
	}
	atomic_sub(n, &ch->nready);
	ch->stats.wakeups += n;
}

/* May come several times, also at once, and not by the owner. */
void mp_channel_end(struct mp_channel *ch)
{
	mutex_lock(&ch->ending);
	if (!ch->has_ended) {
		ch->has_ended = true;
		mp_end_all(&ch->files_table);
		mp_end_all(&ch->lwsockets);
		/* they are all dead */
		mp_look_at_ready(ch);
		mp_lwsockets_trim(ch);
	}
	mutex_unlock(&ch->ending);
}

void mp_channel_free(struct mp_channel *ch)
{
	/* ends it, where the process hasn't */
	mmu_notifier_unregister(&ch->process, ch->mm);
	mp_channel_end(ch);
	if (ch->task)
		put_task_struct(ch->task);
	kfree(ch);
}

/* Who comes first has it. */
struct task_struct *mp_channel_take(struct mp_channel *ch)
{
	mutex_lock(&ch->ending);
	if (!ch->task)
		smp_store_release(&ch->task, get_task_struct(current));
	mutex_unlock(&ch->ending);
	return ch->task;
}

static int mp_set_buffers(struct mp_channel *ch,
			  const struct megapipe_buffers *b)
{
	if (ch->has_ended)
		return -ESHUTDOWN;
	if (ch->buffers.count)
		return -EBUSY;
	if (b->reserved || !b->count || b->count > MEGAPIPE_BUFFERS_MAX ||
	    !b->size || b->size > MEGAPIPE_BUFFER_SIZE_MAX ||
	    b->stride < b->size)
		return -EINVAL;
	ch->buffers = (struct mp_buffers){
		.memory = b->memory,
		.free = u64_to_user_ptr(b->free),
		.count = b->count,
		.size = b->size,
		.stride = b->stride,
	};
	return 0;
}

/* Of a channel that nobody runs yet, or by its owner. */
int mp_channel_buffers(struct mp_channel *ch, const struct megapipe_buffers *b)
{
	int ret = -EPERM;

	mutex_lock(&ch->ending);
	if (!ch->task || ch->task == current)
		ret = mp_set_buffers(ch, b);
	mutex_unlock(&ch->ending);
	return ret;
}

/* --------------------------------------------------------- completions */

void mp_copy_completions(struct mp_channel *ch)
{
	struct mp_room *room = &ch->room;
	u32 n = room->stored - room->copied;

	if (n && copy_to_user(&room->completions[room->copied], ch->completions,
			      n * sizeof(*ch->completions)))
		room->is_faulty = true;
	room->copied = room->stored;
}

/* --------------------------------------------------------------- running */

void mp_todo(struct mp_handle *h)
{
	if (list_empty(&h->todo))
		list_add_tail(&h->todo, &h->ch->todo);
}

static int mp_run_commands(struct mp_channel *ch, struct megapipe_run *run)
{
	const struct megapipe_command __user *from =
		u64_to_user_ptr(run->commands);
	bool at_once = list_empty(&ch->todo);

	while (run->done < run->ncommands) {
		u32 n = min_t(u32, run->ncommands - run->done,
			      MP_COMMANDS_AT_ONCE);

		if (copy_from_user(ch->commands, from + run->done,
				   n * sizeof(*from)))
			return -EFAULT;
		for (u32 i = 0; i < n; i++) {
			int ret = mp_command(ch, &ch->commands[i], at_once);

			if (ret)
				return ret;
			run->done++;
		}
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static void mp_look_at_all(struct mp_channel *ch)
{
	unsigned int looks = 0;

	mp_look_at_ready(ch);
	while (!list_empty(&ch->todo) && mp_has_room(ch)) {
		struct mp_handle *h =
			list_first_entry(&ch->todo, struct mp_handle, todo);

		list_del_init(&h->todo);
		mp_look_at(h);
		if (!mp_may_go_on(++looks))
			return;
	}
}

/* Until so many handles are ready. 0, -ETIME or -EINTR. */
static int mp_sleep(struct mp_channel *ch, unsigned int many, ktime_t *deadline)
{
	int ret = 0;

	WRITE_ONCE(ch->wake_at, many);
	for (;;) {
		/* a full barrier: who comes now sees wake_at */
		set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);
		if (atomic_read(&ch->nready) >= many)
			break;
		if (ret)
			break;
		if (signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		ch->stats.sleeps++;
		if (!schedule_hrtimeout_range(deadline, current->timer_slack_ns,
					      HRTIMER_MODE_ABS))
			ret = -ETIME;
	}
	__set_current_state(TASK_RUNNING);
	WRITE_ONCE(ch->wake_at, 0);
	return atomic_read(&ch->nready) >= many ? 0 : ret;
}

static int mp_sleep_and_look(struct mp_channel *ch, unsigned int many,
			     ktime_t *deadline)
{
	int ret = mp_sleep(ch, many, deadline);

	mp_look_at_all(ch);
	/* handles may be ready all the time, and nothing comes of it */
	return !ret && signal_pending(current) ? -EINTR : ret;
}

/* Moderation: some more completions are worth a short wait. */
static int mp_await_batch(struct mp_channel *ch, const struct megapipe_run *run)
{
	u64 wait_ns = run->min_wait_ns;
	ktime_t deadline;
	int ret = 0;

	if (run->timeout_ns > 0)
		wait_ns = min_t(u64, wait_ns, run->timeout_ns);
	if (!wait_ns || ch->room.stored >= run->min)
		return 0;
	deadline = ktime_add_ns(ktime_get(), wait_ns);
	while (!ret && mp_has_room(ch) && ch->room.stored < run->min)
		ret = mp_sleep_and_look(ch, run->min - ch->room.stored,
					&deadline);
	return ret == -ETIME ? 0 : ret;
}

static int mp_fetch(struct mp_channel *ch, const struct megapipe_run *run)
{
	ktime_t deadline, *until = NULL;
	int ret = 0;

	mp_look_at_all(ch);
	if (!run->timeout_ns)
		return ch->room.stored ? 0 : -ETIME;
	if (run->timeout_ns > 0) {
		deadline = ktime_add_safe(ktime_get(), run->timeout_ns);
		until = &deadline;
	}
	if (run->min > 1)
		ret = mp_await_batch(ch, run);
	while (!ret && !ch->room.stored)
		ret = mp_sleep_and_look(ch, 1, until);
	return ch->room.stored ? 0 : ret;
}

int mp_run(struct mp_channel *ch, struct megapipe_run *run)
{
	int ret;

	run->done = 0;
	run->stored = 0;
	if (run->timeout_ns < -1 || run->min > run->max)
		return -EINVAL;
	ch->room = (struct mp_room){
		.completions = u64_to_user_ptr(run->completions),
		.max = run->max,
	};
	ch->stats.runs++;
	ret = mp_run_commands(ch, run);
	ch->stats.commands += run->done;
	if (!ret && run->max)
		ret = mp_fetch(ch, run);
	mp_copy_completions(ch);
	mp_buffers_settle(ch);
	run->stored = ch->room.stored;
	ch->stats.completions += run->stored;
	if (ch->room.is_faulty)
		ret = -EFAULT;
	ch->room.max = 0;
	ch->room.stored = 0;
	return ret;
}
