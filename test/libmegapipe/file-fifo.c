/* SPDX-License-Identifier: MIT */
/* A FIFO is read through mp_read and mp_recv, up to its end. */
#include <fcntl.h>
#include <sys/stat.h>

#include "check.h"

void test(void)
{
	struct mp_channel *ch = make_channel();
	int reader, writer;
	struct mp_handle *h;
	struct mp_event ev;
	char path[300], text[8];

	snprintf(path, sizeof(path), "%s/fifo", scratch_directory());
	SYS(mkfifo(path, 0600));
	reader = SYS(open(path, O_RDONLY | O_NONBLOCK));
	writer = SYS(open(path, O_WRONLY));
	h = make_handle(ch, reader);
	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	EXPECT_NONE(ch);
	send_all(writer, "fi", 2);
	EXPECT(ch, h, MP_READ, 2);
	CHECK_IS(mp_recv(h), 0);
	send_all(writer, "fo", 2);
	ev = EXPECT(ch, h, MP_RECV, 2);
	CHECK_BYTES(ev.recv.data, "fo", 2);
	CHECK_IS(mp_release(ch, &ev), 0);
	SYS(close(writer));
	CHECK_IS(mp_recv(h), 0);
	EXPECT(ch, h, MP_RECV, 0);
	mp_destroy(ch);
	SYS(close(reader));
}
