/* SPDX-License-Identifier: MIT */
/* Channels, handles and events of the library under test. */
#include "check.h"

struct mp_channel *make_channel_with(struct mp_options options)
{
	struct mp_channel *ch = NULL;

	options.size = sizeof(options);
	options.engine = engine;
	CHECK_IS(mp_create(&options, &ch), 0);
	CHECK(ch != NULL);
	return ch;
}

struct mp_channel *make_channel(void)
{
	return make_channel_with((struct mp_options){ 0 });
}

struct mp_handle *make_handle(struct mp_channel *ch, int fd)
{
	struct mp_handle *h = NULL;

	CHECK_IS(mp_register(ch, fd, NULL, NULL, &h), 0);
	CHECK(h != NULL);
	return h;
}

struct mp_stats stats_of(const struct mp_channel *ch)
{
	struct mp_stats stats = { .size = sizeof(stats) };

	CHECK_IS(mp_stats(ch, &stats), 0);
	return stats;
}

bool engine_has(const char *feature)
{
	struct mp_engine_info info;
	char *name, *rest;

	CHECK_IS(mp_engine_probe(engine, &info), 0);
	for (name = strtok_r(info.features, " ", &rest); name;
	     name = strtok_r(NULL, " ", &rest))
		if (strcmp(name, feature) == 0)
			return true;
	return false;
}

const char *command_name(enum mp_command cmd)
{
	static const char *const names[] = {
		[MP_ACCEPT] = "ACCEPT",
		[MP_CONNECT] = "CONNECT",
		[MP_READ] = "READ",
		[MP_RECV] = "RECV",
		[MP_RECVMSG] = "RECVMSG",
		[MP_WRITE] = "WRITE",
		[MP_SENDMSG] = "SENDMSG",
		[MP_CLOSE] = "CLOSE",
		[MP_DISCONNECT] = "DISCONNECT",
		[MP_POLL] = "POLL",
	};

	return (size_t)cmd < sizeof(names) / sizeof(*names) && names[cmd] ?
		       names[cmd] :
		       "?";
}

struct mp_event next_event_at(const char *file, int line, struct mp_channel *ch)
{
	struct mp_event ev;
	int r = mp_dispatch(ch, &ev, PATIENCE_US);

	if (r != 1)
		fail(file, line, "no event comes: mp_dispatch() is %d", r);
	return ev;
}

struct mp_event expect_at(const char *file, int line, struct mp_channel *ch,
			  struct mp_handle *h, enum mp_command cmd,
			  ssize_t result)
{
	struct mp_event ev = next_event_at(file, line, ch);

	if (ev.cmd != cmd || ev.result != result || ev.handle != h)
		fail(file, line, "event is %s %zd of %s handle, not %s %zd",
		     command_name(ev.cmd), ev.result,
		     ev.handle == h ? "this" : "another", command_name(cmd),
		     result);
	return ev;
}

void expect_none_at(const char *file, int line, struct mp_channel *ch)
{
	struct mp_event ev;
	int r = mp_dispatch(ch, &ev, QUIET_US);

	if (r == 1)
		fail(file, line, "unexpected event %s %zd",
		     command_name(ev.cmd), ev.result);
	if (r != 0)
		fail(file, line, "mp_dispatch() is %d", r);
}

void check_stream(struct mp_channel *ch, int fd, int peer)
{
	struct mp_handle *h = make_handle(ch, fd);
	char text[16];

	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	EXPECT_NONE(ch);
	send_all(peer, "ping", 4);
	EXPECT(ch, h, MP_READ, 4);
	CHECK_BYTES(text, "ping", 4);
	CHECK_IS(mp_write(h, "pong!", 5), 0);
	EXPECT(ch, h, MP_WRITE, 5);
	receive_all(peer, text, 5);
	CHECK_BYTES(text, "pong!", 5);
	SYS(close(peer));
	CHECK_IS(mp_read(h, text, sizeof(text)), 0);
	EXPECT(ch, h, MP_READ, 0);
	CHECK_IS(mp_close(h), 0);
	EXPECT(ch, h, MP_CLOSE, 0);
	CHECK(!is_open(fd));
}
