/* SPDX-License-Identifier: MIT */
/* Where to read in a disk file, told from nowhere: -EFAULT. */
#include <fcntl.h>

#include "channel.h"
#include "nowhere.h"

static void try_at(int ch, uint32_t h, uint64_t address, int64_t result)
{
	CHECK_IS(OUTCOME(ch, READ, h, .addr = address, .len = 0,
			 .flags = MEGAPIPE_F_AT),
		 result);
	CHECK_IS(OUTCOME(ch, WRITE, h, .addr = address, .len = 0,
			 .flags = MEGAPIPE_F_AT),
		 result);
}

void test(void)
{
	int ch = new_channel(), pair[2];
	char path[300], text[8] = "";
	struct iovec iov = { text, sizeof(text) };
	const struct megapipe_at right = { .vector = ADDRESS(&iov),
					   .count = 1 };
	struct megapipe_at at = right;
	uint32_t h, stream;
	int fd;

	snprintf(path, sizeof(path), "%s/file", scratch_directory());
	fd = SYS(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	SYS(ftruncate(fd, 100));
	h = add(ch, fd, 1);
	for (size_t n = 0; n < NOWHERES; n++) {
		struct iovec wild = { (void *)(uintptr_t)nowhere[n], 4 };

		try_at(ch, h, nowhere[n], -EFAULT);
		at.vector = nowhere[n];
		try_at(ch, h, ADDRESS(&at), -EFAULT);
		at.vector = ADDRESS(&wild);
		try_at(ch, h, ADDRESS(&at), -EFAULT);
	}
	at = right;
	at.reserved = 1;
	try_at(ch, h, ADDRESS(&at), -EINVAL);
	at = right;
	at.offset = -2;
	try_at(ch, h, ADDRESS(&at), -EINVAL);
	at.offset = INT64_MIN;
	try_at(ch, h, ADDRESS(&at), -EINVAL);
	at = right;
	at.count = 1025;
	try_at(ch, h, ADDRESS(&at), -EINVAL);
	/* nothing but disk files has places */
	unix_pair(pair, SOCK_STREAM);
	stream = add(ch, pair[0], 1);
	CHECK(OUTCOME(ch, WRITE, stream, BYTES(&right, 0),
		      .flags = MEGAPIPE_F_AT) < 0);
	at = right;
	try_at(ch, h, ADDRESS(&at), 8);
	SYS(close(ch));
}
