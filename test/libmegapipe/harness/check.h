/* SPDX-License-Identifier: MIT */
/*
 * What every test program here is made of. A program defines test(); main()
 * is in check.c and takes the engine's name. Exit 0: passed, 77: skipped, its
 * last line on stdout says why, anything else: failed.
 */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "megapipe.h"

/* Long enough for any machine; only a failing test ever waits so long. */
#define PATIENCE_US (120 * 1000 * 1000)
/* To see that nothing comes. Too short a time can't make a test fail. */
#define QUIET_US (30 * 1000)
/* The exit status that says: skipped. */
#define EXIT_SKIPPED 77

extern const char *engine;   /* under test, argv[1] */
extern const char *argument; /* argv[2], or NULL */
extern char **arguments;     /* from argv[2] on, to a NULL */

void test(void);

_Noreturn void fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
_Noreturn void skip(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

#define CHECK(condition)                                            \
	do {                                                        \
		if (!(condition))                                   \
			fail(__FILE__, __LINE__, "%s", #condition); \
	} while (0)

/* Compare two integers, and show both. */
#define CHECK_IS(got, want)                                                    \
	do {                                                                   \
		long long got_ = (got), want_ = (want);                        \
		if (got_ != want_)                                             \
			fail(__FILE__, __LINE__, "%s is %lld, not %lld", #got, \
			     got_, want_);                                     \
	} while (0)

#define CHECK_BYTES(got, want, size) CHECK(memcmp(got, want, size) == 0)

/* A call that reports by errno and must work here; gives its value. */
#define SYS(call)                                                 \
	({                                                        \
		long value_ = (call);                             \
		if (value_ == -1)                                 \
			fail(__FILE__, __LINE__, "%s: %s", #call, \
			     strerror(errno));                    \
		value_;                                           \
	})

/* ---------------------------------------------- channels, handles, events */

struct mp_channel *make_channel(void);
/* The engine is filled in. */
struct mp_channel *make_channel_with(struct mp_options options);
struct mp_handle *make_handle(struct mp_channel *ch, int fd);

struct mp_stats stats_of(const struct mp_channel *ch);
const char *command_name(enum mp_command cmd);
/* Is it among the features that the engine under test reports? */
bool engine_has(const char *feature);

struct mp_event next_event_at(const char *file, int line,
			      struct mp_channel *ch);
struct mp_event expect_at(const char *file, int line, struct mp_channel *ch,
			  struct mp_handle *h, enum mp_command cmd,
			  ssize_t result);
void expect_none_at(const char *file, int line, struct mp_channel *ch);

/* The next event, whatever it is. */
#define NEXT(ch) next_event_at(__FILE__, __LINE__, ch)
/* The next event is this one. */
#define EXPECT(ch, h, cmd, result) \
	expect_at(__FILE__, __LINE__, ch, h, cmd, result)
/* For a while there is no event. */
#define EXPECT_NONE(ch) expect_none_at(__FILE__, __LINE__, ch)

/* ------------------------------------------------- the peers, plain files */

struct address {
	struct sockaddr_storage storage;
	socklen_t len;
};

/*
 * Listening on the loopback address of the family, at a port of the kernel's
 * choice.
 */
int listen_tcp(int family);
struct address address_of(int fd);
/* A new socket, connected to where fd is bound. */
int connect_to(int fd);
/* pair[0] was accepted, pair[1] connected. */
void tcp_pair(int pair[2]);
void unix_pair(int pair[2], int type);
/* Both bound to loopback and connected to each other. */
void udp_pair(int pair[2]);

/*
 * So that a large write has to wait for its reader, whatever this machine's
 * defaults are.
 */
void small_buffers(int pair[2]);

/*
 * A client's connect() may be over before its connection waits at the
 * listener: until so many do. For listeners of which nobody accepts.
 */
void wait_queued(int listener, unsigned int count);

/* Blocking; all of it, or the test fails. */
void send_all(int fd, const void *data, size_t size);
void receive_all(int fd, void *data, size_t size);
/* Nothing more comes from fd, and its peer has ended. */
void receive_end(int fd);
/* Is there something to read, or an end? Waits timeout_ms at most. */
bool readable(int fd, int timeout_ms);
/* Close, so that the peer gets a RST. */
void reset(int fd);

/* Bytes that differ from place to place, so that order and loss show. */
void fill(void *data, size_t size, uint64_t place);
void check_filled(const void *data, size_t size, uint64_t place);
/* Takes what has come at a socket, some of it at a time, if anything has. */
size_t take_some(int fd, uint64_t place);

/* A fresh directory that goes when the program ends. */
const char *scratch_directory(void);
/* A child that keeps what it has inherited, till it is ended or we are. */
pid_t staying_child(void);
void end_child(pid_t child);
/* What it checks must hold: for a child that ends by _exit(0). */
void child_passes(pid_t child);
/* Entries of /proc/self/fd. */
int open_fds(void);
/* Raise or lower the soft RLIMIT_NOFILE; false: not allowed. */
bool limit_fds(int count);
/* Is fd a valid descriptor? */
bool is_open(int fd);

/* CPUs this process may run on, lowest first; at most max of them. */
int allowed_cpus(int *cpus, int max);
void pin_to(int cpu);
cpu_set_t cpu_mask_of(int cpu);

/* Register fd, receive from the peer, send to it, see its end. */
void check_stream(struct mp_channel *ch, int fd, int peer);

#endif
