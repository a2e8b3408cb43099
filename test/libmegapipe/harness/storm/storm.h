/* SPDX-License-Identifier: MIT */
/*
 * A storm: server processes with several threads and channels, clients that
 * come and leave in every way, limits that bite, and faults that are made. It
 * compares no traces: it checks what must hold whatever comes first.
 *
 * One process is the master. It makes the listening sockets and forks servers
 * and clients, which tell each other by shared memory why connections end.
 */
#ifndef STORM_H
#define STORM_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "../check.h"

#define MOST_LISTENERS 6
#define MOST_SERVERS 2
#define MOST_WORKERS 3
#define MOST_CLIENTS 24

/* ------------------------------------------------------------------ dice */

struct dice {
	uint64_t state;
};

struct dice dice_of(uint64_t seed, uint64_t stream);
/* From 0 to n - 1. */
uint32_t roll(struct dice *dice, uint32_t n);
bool one_in(struct dice *dice, uint32_t n);

/* ------------------------------------------------------------------ plan */

enum feature {
	REOPENS = 1 << 0,  /* listening handles are closed and made again */
	PAUSES = 1 << 1,   /* accepting is stopped, and counted */
	SIGNALS = 1 << 2,  /* handlers run while a channel waits */
	FORKS = 1 << 3,	   /* servers have children, with all that is open */
	FEW_FDS = 1 << 4,  /* RLIMIT_NOFILE lets fewer in than come */
	FAULTS = 1 << 5,   /* of accepts, and of what the engine waits with */
	FAILURES = 1 << 6, /* of reads and writes: the connection is lost */
	PARTITIONS = 1 << 7,
	HANDOVERS = 1 << 8,	 /* mp_lwsocket_to_fd(), and back */
	NO_PWAIT2 = 1 << 9,	 /* epoll_pwait2() isn't allowed */
	DEATHS = 1 << 12,	 /* a server ends without leaving */
	PROBES = 1 << 13,	 /* servers connect, too */
	UNIX_SOCKETS = 1 << 14,	 /* some listening sockets are */
	FEW_LWSOCKETS = 1 << 11, /* fewer than there are connections */
	OTHER_USER = 1 << 10, /* servers are nobody, with little RLIMIT_MEMLOCK
			       */
};

struct plan {
	unsigned int seed;
	unsigned int features;
	unsigned int servers; /* processes */
	unsigned int workers; /* threads with a channel, in each */
	unsigned int listeners;
	int backlogs[MOST_LISTENERS];
	int families[MOST_LISTENERS];
	unsigned int clients;  /* threads */
	unsigned int sessions; /* of each */
	struct mp_options options;
	bool has_other_masks; /* parts change their CPUs */
	unsigned int memlock_kib;
	unsigned int fds; /* for connections, with FEW_FDS */
};

struct plan plan_of(unsigned int seed, unsigned int allowed);
void print_plan(const struct plan *plan);

/* --------------------------------------------------------- shared memory */

/*
 * What the sides know of the connection from one port of the client. A port
 * comes again: serial tells which of its connections is meant.
 */
struct fate {
	/* the client's */
	_Atomic uint32_t serial;
	_Atomic bool is_left; /* it is leaving, or has told its end */
	_Atomic bool has_fin; /* ... after it has sent so much: */
	_Atomic uint64_t sent;
	/* the server's */
	_Atomic uint32_t accepted; /* the serial of the last one accepted */
	_Atomic bool is_torn;	   /* anything may be lost */
	_Atomic bool is_closed;	   /* after so much, if the client got all: */
	_Atomic uint64_t promised;
	_Atomic uint64_t consumed;
};

struct shared {
	pid_t master;
	struct fate fates[1 << 16];
	_Atomic uint32_t next_port;
	_Atomic uint32_t sessions, served, refused, faults;
	_Atomic bool is_failed;
	_Atomic bool has_died; /* a server, with what it had */
};

extern struct plan plan;
extern struct shared *shared;
extern int listener_fds[MOST_LISTENERS];
extern int64_t patience_us;

/* ------------------------------------------------------------- the parts */

/* A request is this, and as many bytes as it says. */
struct request {
	uint32_t magic;
	uint32_t serial;
	uint32_t port;
	uint32_t body;
	uint32_t reply;
};
#define REQUEST_MAGIC 0x6d70726fu
#define BODY_MAX 20000
#define REPLY_MAX (300 << 10)

/*
 * clients.c: a socket from a port of its own, whose fate begins. A UNIX socket
 * has the port in its name.
 */
int new_client(int family, unsigned int *port, uint32_t *serial);

struct address unix_name(const char *kind, unsigned int number);
unsigned int port_of(const struct address *a);

/* The main functions of the processes. */
_Noreturn void run_clients_process(void);
_Noreturn void run_server_process(unsigned int number, int stop_fd);

/* What is in the way when a test hangs: SIGUSR1 asks for it. */
void dump_server(int signal);

/* faults.c: what faults this kernel lets us make of io_uring's requests. */
void prepare_faults(void);
/* Calls of the library fail from now on, by this thread's dice. */
void begin_faults(struct dice dice);
void end_faults(void);

/* -------------------------------------------------------- server's inside */

enum what { EAR, CONNECTION, BELL, PROBE };

struct worker;

/* A listening handle. Each has a duplicate of the listening socket's fd. */
struct ear {
	enum what what;
	struct worker *worker;
	struct mp_handle *h;
	int fd;
	unsigned int number;
	bool is_lwsocket;
	bool is_partitioned;
	bool is_closing;
	bool is_stopped; /* is to be told to go on */
	uint32_t wanted; /* MP_ACCEPT_ALL, or so many more */
};

/* One thing asked of a connection's handle, and the memory it was given. */
struct ask {
	enum mp_command cmd;
	size_t size;
	char *bytes;
	struct iovec iov[3];
	struct msghdr msg;
	bool is_canceled;
	STAILQ_ENTRY(ask) link;
};
STAILQ_HEAD(asks, ask);

struct connection {
	enum what what;
	struct worker *worker;
	struct mp_handle *h;
	int id;
	bool is_closing;
	bool has_failed; /* one of its writes */
	bool has_shut;
	bool has_ended;
	unsigned int nreads, nwrites;
	struct asks reads, writes;
	struct fate *fate; /* or NULL: the peer was gone by then */
	uint32_t serial;
	union {
		struct request request;
		char head[sizeof(struct request)];
	};
	uint32_t have; /* bytes of head */
	uint32_t body; /* to come */
	uint64_t received;
	uint64_t promised, place; /* ... of what is written next */
	bool is_partial;	  /* that is known when the write is over */
	bool is_bounded;	  /* closing gives up on writes */
	bool is_watched;	  /* an mp_poll() is in flight */
	bool is_unwatched;	  /* ... and was cancelled */
	LIST_ENTRY(connection) link;
};

#define MOST_HELD 32

struct worker {
	pthread_t thread;
	unsigned int number;
	struct dice dice;
	struct mp_channel *ch;
	enum what bell; /* a cookie */
	int stop_fd;
	struct mp_handle *stop;
	uint64_t stop_count;
	bool is_stopping;
	struct ear ears[MOST_LISTENERS];
	LIST_HEAD(, connection) connections;
	unsigned int nconnections;
	struct mp_event held[MOST_HELD];
	unsigned int nheld;
	struct probe *probe;
	const char *doing;
	uint64_t accepted, dispatched;
};

/* ears.c */
void open_ear(struct ear *ear);
void on_ear(struct ear *ear, const struct mp_event *ev);
void play_with_ears(struct worker *w);
void close_ears(struct worker *w);
bool are_ears_closed(const struct worker *w);
void ears_forget(struct worker *w);

/* probe.c: a connection that the server asks for, one a worker at a time */
struct probe;
void probe_begin(struct worker *w);
void on_probe(struct probe *p, const struct mp_event *ev);
void probe_end(struct worker *w);
/* After mp_destroy(). */
void probe_forget(struct worker *w);

/* connection.c */
void connection_begin(struct worker *w, int id);
void on_connection(struct connection *c, const struct mp_event *ev);
void release_held(struct worker *w, unsigned int keep);
/* After mp_destroy(): what was the caller's is closed. */
void connections_forget(struct worker *w);

#endif
