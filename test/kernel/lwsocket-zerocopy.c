/* SPDX-License-Identifier: MIT */
/*
 * io_uring sends from an lwsocket's descriptor without copying, as it does from
 * an accepted one.
 */
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "channel.h"

struct ring {
	int fd;
	struct io_uring_sqe *sqes;
	char *rings;
	struct io_uring_params params;
};

static struct ring new_ring(void)
{
	struct ring r = { 0 };

	r.fd = syscall(__NR_io_uring_setup, 2, &r.params);
	if (r.fd < 0)
		skip("no io_uring here: %s", strerror(errno));
	r.rings = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd,
		       IORING_OFF_SQ_RING);
	r.sqes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd,
		      IORING_OFF_SQES);
	CHECK(r.rings != MAP_FAILED && r.sqes != MAP_FAILED);
	return r;
}

static int send_zerocopy(int fd, const char *text, int len)
{
	struct ring r = new_ring();
	unsigned int *array = (void *)(r.rings + r.params.sq_off.array);
	unsigned int *tail = (void *)(r.rings + r.params.sq_off.tail);
	struct io_uring_cqe *cqes = (void *)(r.rings + r.params.cq_off.cqes);

	*r.sqes = (struct io_uring_sqe){
		.opcode = IORING_OP_SEND_ZC,
		.fd = fd,
		.addr = ADDRESS(text),
		.len = len,
	};
	*array = 0;
	__atomic_store_n(tail, 1, __ATOMIC_RELEASE);
	CHECK_IS(SYS(syscall(__NR_io_uring_enter, r.fd, 1, 1,
			     IORING_ENTER_GETEVENTS, NULL, 0)),
		 1);
	SYS(close(r.fd));
	return cqes[0].res;
}

static void check(int ch, int listener)
{
	int client, fd;
	struct megapipe_fd arg = {
		.handle = accept_lwsocket(ch, listener, &client, 1),
	};
	char got[4];

	fd = try_ioctl(ch, MEGAPIPE_IOC_FD, &arg);
	CHECK(fd >= 0);
	CHECK_IS(send_zerocopy(fd, "ping", 4), 4);
	receive_all(client, got, 4);
	CHECK_BYTES(got, "ping", 4);
	drop(ch, arg.handle);
	SYS(close(fd));
	SYS(close(client));
}

void test(void)
{
	int ch = new_channel(), listener = listen_tcp(AF_INET);

	check(ch, listener);
	SYS(close(ch));
}
