/* SPDX-License-Identifier: MIT */
/*
 * A file system with a single file, by FUSE's own protocol: what is asked about
 * the file is answered, what is asked of it is not.
 */
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "check.h"
#include "fuse.h"

#define FILE_ID 2
#define FILE_SIZE (1 << 30)

static pid_t server;
static char folder[300], path[310];

struct answer {
	struct fuse_out_header head;
	union {
		struct fuse_init_out init;
		struct fuse_attr_out attr;
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	};
};

static struct fuse_attr attributes(uint64_t id)
{
	bool is_file = id == FILE_ID;

	return (struct fuse_attr){
		.ino = id,
		.mode = is_file ? S_IFREG | 0666 : S_IFDIR | 0755,
		.nlink = 1,
		.size = is_file ? FILE_SIZE : 0,
	};
}

/* Bytes of the answer behind its head; -1: none is given. */
static int answer(const struct fuse_in_header *in, struct answer *out)
{
	switch (in->opcode) {
	case FUSE_INIT:
		out->init = (struct fuse_init_out){ .major = 7,
						    .minor = 31,
						    .max_write = 65536 };
		return sizeof(out->init);
	case FUSE_GETATTR:
		out->attr.attr_valid = 1000;
		out->attr.attr = attributes(in->nodeid);
		return sizeof(out->attr);
	case FUSE_LOOKUP:
		out->entry.nodeid = FILE_ID;
		out->entry.entry_valid = 1000;
		out->entry.attr_valid = 1000;
		out->entry.attr = attributes(FILE_ID);
		return sizeof(out->entry);
	case FUSE_OPEN:
		/* else opening it again would wait for pages that are read */
		out->open.open_flags = FOPEN_DIRECT_IO;
		return sizeof(out->open);
	case FUSE_READ:
	case FUSE_WRITE:
	case FUSE_FLUSH:
	case FUSE_FORGET:
	case FUSE_INTERRUPT:
	case FUSE_BATCH_FORGET:
		return -1;
	case FUSE_RELEASE:
		return 0;
	default:
		out->head.error = -ENOSYS;
		return 0;
	}
}

static _Noreturn void serve(int fuse)
{
	static char question[1 << 18];

	for (;;) {
		struct answer out = { .head.len = sizeof(out.head) };
		const struct fuse_in_header *in = (void *)question;
		ssize_t n = read(fuse, question, sizeof(question));
		int size;

		if (n < 0 && errno != EINTR && errno != ENOENT)
			_exit(0);
		if (n < 0)
			continue;
		size = answer(in, &out);
		out.head.unique = in->unique;
		out.head.len += size < 0 ? 0 : size;
		if (size >= 0 && write(fuse, &out, out.head.len) < 0)
			_exit(1);
	}
}

static void be_alone(void)
{
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		skip("no mounts of our own: %s", strerror(errno));
}

static void mount_on(const char *where, int fuse)
{
	char options[100];

	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other",
		 fuse, getuid(), getgid());
	if (mount("stuck", where, "fuse", MS_NOSUID | MS_NODEV, options))
		skip("no FUSE: mount: %s", strerror(errno));
}

const char *stuck_file(void)
{
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fuse < 0)
		skip("no FUSE: /dev/fuse: %s", strerror(errno));
	be_alone();
	snprintf(folder, sizeof(folder), "%s/stuck", scratch_directory());
	SYS(mkdir(folder, 0700));
	mount_on(folder, fuse);
	server = SYS(fork());
	if (server == 0) {
		SYS(prctl(PR_SET_PDEATHSIG, SIGKILL));
		serve(fuse);
	}
	SYS(close(fuse));
	snprintf(path, sizeof(path), "%s/file", folder);
	return path;
}

void stuck_disk_ends(void)
{
	end_child(server);
	SYS(umount2(folder, MNT_DETACH));
}
