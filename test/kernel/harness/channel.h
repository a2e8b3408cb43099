/* SPDX-License-Identifier: MIT */
/*
 * The module's own interface as programs here use it. What they test is said
 * in kernel/uapi/megapipe.h.
 *
 * A channel is its file descriptor. Functions and macros that say TRY or try_
 * give -errno; what others ask for must work.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <poll.h>
#include <stdint.h>

#include "check.h"
#include "uapi/megapipe.h"

/* Of channels of which nothing else is said. */
#define LWSOCKETS 256

#define NS_PER_MS 1000000ll
#define PATIENCE_NS (PATIENCE_US * 1000ll)
#define QUIET_NS (QUIET_US * 1000ll)

/* What the call gives, or -errno. */
#define TRY_SYS(call)                           \
	({                                      \
		long value_ = (call);           \
		value_ == -1 ? -errno : value_; \
	})

/* ------------------------------------------------------------- channels */

int open_device(void);
int try_ioctl(int ch, unsigned long request, void *arg);
int try_setup(int ch, uint32_t lwsockets);
int make_channel_of(uint32_t lwsockets);
/* For LWSOCKETS. */
int new_channel(void);
/* The module's MEGAPIPE_FEATURE_*. */
uint32_t features(void);
struct megapipe_stats stats_now(int ch);

int try_add(int ch, int fd, uint64_t cookie, uint32_t *handle);
/* Registers fd and gives its handle. */
uint32_t add(int ch, int fd, uint64_t cookie);

/* Buffers for MEGAPIPE_OP_RECV; stack->count of them are free. */
struct pool {
	char *memory;
	struct megapipe_free *stack;
	uint32_t count, size;
};

struct pool give_buffers(int ch, uint32_t count, uint32_t size);
char *buffer_at(const struct pool *pool, uint32_t number);
void give_back(struct pool *pool, uint32_t number);

/* ------------------------------------------------- commands, completions */

#define ADDRESS(pointer) ((uint64_t)(uintptr_t)(pointer))

/* COMMAND(READ, handle, BYTES(buf, size)), COMMAND(POLL, handle, .arg = ...) */
#define COMMAND(op_, handle_, ...)  \
	((struct megapipe_command){ \
		.op = MEGAPIPE_OP_##op_, .handle = (handle_), ##__VA_ARGS__ })

#define BYTES(pointer, size) .addr = ADDRESS(pointer), .len = (size)
#define VECTOR(iov, count) BYTES(iov, count), .flags = MEGAPIPE_F_VECTOR

/* MEGAPIPE_IOC_RUN as it is. */
int try_run(int ch, struct megapipe_run *run);

/* Hands over one command and takes no completion. */
int try_command(int ch, struct megapipe_command command);
#define TRY(ch, ...) try_command(ch, COMMAND(__VA_ARGS__))
#define ASK(ch, ...) CHECK_IS(TRY(ch, __VA_ARGS__), 0)
#define REFUSES(ch, error, ...) CHECK_IS(TRY(ch, __VA_ARGS__), error)

/*
 * What comes of a command: why it was refused, or the result of the next
 * completion. For errors that may be found out early or late.
 */
int64_t outcome_at(const char *file, int line, int ch,
		   struct megapipe_command command);
#define OUTCOME(ch, ...) \
	outcome_at(__FILE__, __LINE__, ch, COMMAND(__VA_ARGS__))

struct megapipe_completion next_at(const char *file, int line, int ch);
struct megapipe_completion completes_at(const char *file, int line, int ch,
					uint64_t cookie, int op,
					int64_t result);
void quiet_at(const char *file, int line, int ch);

/* The next completion, whatever it is. */
#define NEXT_OF(ch) next_at(__FILE__, __LINE__, ch)
/* The next completion is this one. */
#define COMPLETES(ch, cookie, op, result) \
	completes_at(__FILE__, __LINE__, ch, cookie, MEGAPIPE_OP_##op, result)
/* For a while there is none. */
#define STAYS_QUIET(ch) quiet_at(__FILE__, __LINE__, ch)

/* Ends what the handle has in flight, silently, and the handle. */
void drop(int ch, uint32_t handle);

/* Does nothing wait here, and is nothing left? Then the channel is as new. */
void check_usable(int ch);

/* -------------------------------------------------------------- sockets */

/* Connects to the listener and accepts that as an lwsocket. */
uint32_t accept_lwsocket(int ch, int listener, int *client, uint64_t cookie);

int try_socket_call(int ch, uint32_t handle, int call, int level, int name,
		    void *value, uint32_t *len);
void set_option(int ch, uint32_t handle, int level, int name, int value);
int get_option(int ch, uint32_t handle, int level, int name);

/* Bytes in both directions between the handle and its peer. */
void check_echo(int ch, uint32_t handle, uint64_t cookie, int peer);

#endif
