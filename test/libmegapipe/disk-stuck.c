/* SPDX-License-Identifier: MIT */
/*
 * A disk that doesn't answer holds up what is asked of it, and nothing else:
 * not the channel, not its end, not other disks, not other processes.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "check.h"
#include "fuse.h"

/* More than the library has threads for. */
#define MANY 24
#define SIZE 4096

static const char *path;
static char bytes[MANY][SIZE];

static struct mp_handle *add_stuck(struct mp_channel *ch)
{
	return make_handle(ch, SYS(open(path, O_RDWR | O_CLOEXEC)));
}

static void check_others(struct mp_channel *ch)
{
	char text[8], file[300];
	struct mp_handle *h;
	int pair[2], fd;

	unix_pair(pair, SOCK_STREAM);
	check_stream(ch, pair[0], pair[1]);
	snprintf(file, sizeof(file), "%s/other", scratch_directory());
	fd = SYS(open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	h = make_handle(ch, fd);
	CHECK_IS(mp_write(h, "other", 5), 0);
	EXPECT(ch, h, MP_WRITE, 5);
	CHECK_IS(mp_pread(h, text, sizeof(text), 0), 0);
	EXPECT(ch, h, MP_READ, 5);
	CHECK_BYTES(text, "other", 5);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
}

static void check_cancel(struct mp_channel *ch)
{
	struct mp_handle *h = add_stuck(ch);

	CHECK_IS(mp_pread(h, bytes[0], SIZE, 0), 0);
	EXPECT_NONE(ch);
	check_others(ch);
	CHECK_IS(mp_cancel(h, MP_READ), 0);
	EXPECT(ch, h, MP_READ, -ECANCELED);
	CHECK_IS(mp_pread(h, bytes[0], SIZE, 0), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_READ, -ECANCELED);
	EXPECT(ch, h, MP_CLOSE, 0);
}

/*
 * Once it has begun, what moves the position isn't given up by mp_cancel(), but
 * by mp_close() it is.
 */
static void check_position(struct mp_channel *ch)
{
	struct mp_handle *h = add_stuck(ch);

	CHECK_IS(mp_read(h, bytes[0], SIZE), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_cancel(h, MP_READ), 0);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_READ, -ECANCELED);
	EXPECT(ch, h, MP_CLOSE, 0);
}

static void check_write(struct mp_channel *ch)
{
	struct mp_handle *h = add_stuck(ch);

	CHECK_IS(mp_pwrite(h, bytes[0], SIZE, 0), 0);
	CHECK_IS(mp_pwrite(h, bytes[1], SIZE, SIZE), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_close_within(h, 1000), 0);
	EXPECT(ch, h, MP_WRITE, -ECANCELED);
	EXPECT(ch, h, MP_WRITE, -ECANCELED);
	EXPECT(ch, h, MP_CLOSE, -ETIMEDOUT);
}

/* What was the channel's is the caller's again: also the channel's buffers. */
static void check_memory(struct mp_channel *ch)
{
	void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct mp_handle *h = add_stuck(ch);
	int fd = mp_handle_id(h);

	CHECK(memory != MAP_FAILED);
	CHECK_IS(mp_pread(h, memory, SIZE, 0), 0);
	CHECK_IS(mp_pwrite(h, memory, SIZE, SIZE), 0);
	EXPECT_NONE(ch);
	CHECK_IS(mp_unregister(h), 0);
	SYS(munmap(memory, SIZE));
	h = make_handle(ch, fd);
	for (int i = 0; i < 3; i++) {
		CHECK_IS(mp_recv(h), 0);
		EXPECT_NONE(ch);
		CHECK_IS(mp_unregister(h), 0);
		h = make_handle(ch, fd);
	}
	check_others(ch);
}

static void check_many(struct mp_channel *ch)
{
	struct mp_handle *all[MANY];

	for (int i = 0; i < MANY; i++) {
		all[i] = add_stuck(ch);
		CHECK_IS(mp_pread(all[i], bytes[i], SIZE, i * SIZE), 0);
	}
	EXPECT_NONE(ch);
	for (int i = 0; i < MANY; i++) {
		CHECK_IS(mp_cancel(all[i], MP_READ), 0);
		EXPECT(ch, all[i], MP_READ, -ECANCELED);
	}
	check_others(ch);
}

/*
 * One that has nothing of the stuck file, and waits for its turn: it begins and
 * ends, whatever we wait for.
 */
static pid_t other_process(int turn[2])
{
	pid_t child;

	SYS(pipe2(turn, O_CLOEXEC));
	child = SYS(fork());
	if (child == 0) {
		struct mp_channel *ch;
		char go;

		SYS(close(turn[1]));
		if (SYS(read(turn[0], &go, 1)) == 0)
			_exit(1);
		ch = make_channel();
		check_others(ch);
		mp_destroy(ch);
		_exit(0);
	}
	return child;
}

void test(void)
{
	struct mp_channel *ch;
	int turn[2];
	pid_t other;

	if (!strcmp(engine, "uring"))
		skip("the kernel's own threads wait for the disk, and we for "
		     "them");
	path = stuck_file();
	other = other_process(turn);
	ch = make_channel_with((struct mp_options){ .buffers = 2 });
	check_others(ch);
	check_cancel(ch);
	check_position(ch);
	check_write(ch);
	check_memory(ch);
	check_many(ch);
	for (int i = 0; i < MANY; i++)
		CHECK_IS(mp_pread(add_stuck(ch), bytes[i], SIZE, 0), 0);
	EXPECT_NONE(ch);
	SYS(write(turn[1], "", 1));
	child_passes(other);
	mp_destroy(ch);
	stuck_disk_ends();
}
