/* SPDX-License-Identifier: MIT */
/*
 * Clients that each wait for an answer before they ask again, from other
 * processes: a wake-up that gets lost would leave one waiting for ever.
 */
#include "channel.h"
#include "processes.h"

#define CLIENTS 6
#define QUESTIONS 1200

static void ask_questions(void *arg)
{
	int fd = connect_to(*(int *)arg);

	for (int i = 0; i < QUESTIONS; i++) {
		int answer;

		send_all(fd, &i, sizeof(i));
		receive_all(fd, &answer, sizeof(answer));
		CHECK_IS(answer, ~i);
	}
	SYS(close(fd));
}

static int ch;
static struct pool pool;

struct client {
	uint32_t handle;
	int text;
	bool is_writing; /* its last answer's completion is to come */
	bool has_asked;	 /* ... and so must its next question */
};

static struct client clients[CLIENTS];
static struct megapipe_command commands[4 * CLIENTS];
static uint32_t ncommands;

/* Every other client's bytes are received into the channel's buffers. */
static void read_next(struct client *c)
{
	bool receives = (c - clients) % 2;

	commands[ncommands++] =
		receives ? COMMAND(RECV, c->handle) :
			   COMMAND(READ, c->handle,
				   BYTES(&c->text, sizeof(c->text)));
}

static void answer(struct client *c)
{
	c->has_asked = c->is_writing;
	if (c->is_writing)
		return;
	c->is_writing = true;
	c->text = ~c->text;
	/* the next question comes when the client has all of the answer */
	commands[ncommands++] =
		COMMAND(WRITE, c->handle, BYTES(&c->text, sizeof(c->text)));
	read_next(c);
}

static void take_question(struct client *c, const struct megapipe_completion *e)
{
	if (e->result == 0) {
		commands[ncommands++] = COMMAND(CLOSE, c->handle, .arg = -1);
		return;
	}
	CHECK_IS(e->result, sizeof(c->text));
	if (e->op == MEGAPIPE_OP_RECV) {
		memcpy(&c->text, buffer_at(&pool, e->info), sizeof(c->text));
		give_back(&pool, e->info);
	}
	answer(c);
}

static void take_completion(const struct megapipe_completion *e)
{
	struct client *c = &clients[e->cookie];

	if (e->op == MEGAPIPE_OP_WRITE) {
		c->is_writing = false;
		if (c->has_asked)
			answer(c);
	} else if (e->op != MEGAPIPE_OP_CLOSE) {
		take_question(c, e);
	}
}

/* Batches of all sizes, with and without some moderation. */
static void serve(void)
{
	struct megapipe_completion got[2 * CLIENTS];
	struct megapipe_run run = {
		.commands = ADDRESS(commands),
		.completions = ADDRESS(got),
		.timeout_ns = PATIENCE_NS,
	};
	uint32_t rounds = 0;

	do {
		run.ncommands = ncommands;
		run.max = 1 + rounds % (2 * CLIENTS);
		run.min = rounds % 3 ? 0 : 1 + rounds % run.max;
		run.min_wait_ns = rounds++ % 5 * 20000;
		CHECK_IS(try_run(ch, &run), 0);
		ncommands = 0;
		for (uint32_t i = 0; i < run.stored; i++)
			take_completion(&got[i]);
	} while (stats_now(ch).lwsockets > 0);
}

void test(void)
{
	int listener = listen_tcp(AF_INET);
	pid_t asking[CLIENTS];
	uint32_t h;

	ch = new_channel();
	pool = give_buffers(ch, CLIENTS, 64);
	h = add(ch, listener, CLIENTS);
	for (int i = 0; i < CLIENTS; i++)
		asking[i] = start(ask_questions, &listener);
	for (int i = 0; i < CLIENTS; i++) {
		ASK(ch, ACCEPT, h, .len = 1);
		clients[i].handle = NEXT_OF(ch).result;
		ASK(ch, COOKIE, clients[i].handle, .addr = i);
		read_next(&clients[i]);
	}
	serve();
	for (int i = 0; i < CLIENTS; i++)
		passes(asking[i]);
	SYS(close(ch));
}
