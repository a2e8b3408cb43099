/* SPDX-License-Identifier: MIT */
/* What a storm is made of, by its seed. */
#include "storm.h"

struct dice dice_of(uint64_t seed, uint64_t stream)
{
	struct dice dice = { seed * 0x9e3779b97f4a7c15ull ^ stream << 32 };

	roll(&dice, 2);
	return dice;
}

/* splitmix64 */
static uint64_t next(struct dice *dice)
{
	uint64_t z = dice->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint32_t roll(struct dice *dice, uint32_t n)
{
	return (next(dice) >> 32) * n >> 32;
}

bool one_in(struct dice *dice, uint32_t n)
{
	return roll(dice, n) == 0;
}

static unsigned int power_of_two(struct dice *dice, unsigned int first,
				 unsigned int last)
{
	return 1u << (first + roll(dice, last - first + 1));
}

static void choose_options(struct plan *p, struct dice *dice)
{
	static const unsigned int few[] = { 1, 2, 3, 5, 9, 17, 33, 70 };
	unsigned int lwsockets = few[roll(dice, 8)];

	p->options = (struct mp_options){
		.size = sizeof(struct mp_options),
		.engine = engine,
		.batch = one_in(dice, 4) ? 1 : 2 + roll(dice, 60),
		.max_lwsockets = p->features & FEW_LWSOCKETS ? lwsockets : 0,
		.buffers = power_of_two(dice, 0, 6),
		.buffer_size = 16 + roll(dice, 5000),
		.completions = power_of_two(dice, 3, 10),
		.moderation_us = one_in(dice, 3) ? 50 : 0,
		.accept_peer = one_in(dice, 2),
	};
}

/* By dice of its own: the rest of a seed's plan is what it was without. */
static void choose_balance(struct plan *p)
{
	static const unsigned int us[] = { 0, 0, 1, 500, 2000 };
	struct dice dice = dice_of(p->seed, 3000);

	p->options.steal_us = us[roll(&dice, 5)];
	p->has_other_masks = one_in(&dice, 2);
}

/*
 * Room for all who come: where a queue overflows, Linux makes SYN cookies, and
 * with them it loses a first segment of up to three bytes without a word.
 */
static void choose_listeners(struct plan *p, struct dice *dice)
{
	static const int backlogs[] = { 4096, 511, 128, 64, 40, 32 };

	p->listeners = 1 + roll(dice, MOST_LISTENERS);
	for (unsigned int i = 0; i < p->listeners; i++)
		p->backlogs[i] = backlogs[roll(dice, 6)];
	for (unsigned int i = 0; i < p->listeners; i++)
		p->families[i] = one_in(dice, 3) && p->features & UNIX_SOCKETS ?
					 AF_UNIX :
					 AF_INET;
}

struct plan plan_of(unsigned int seed, unsigned int allowed)
{
	struct dice dice = dice_of(seed, 0);
	struct plan p = { .seed = seed };

	unsigned int density = 2 + roll(&dice, 6);

	for (unsigned int bit = 0; bit < 15; bit++)
		if (roll(&dice, 9) < density)
			p.features |= 1u << bit;
	p.features &= allowed;
	if (p.features & OTHER_USER)
		p.features &= ~PARTITIONS;
	/* these take the fds that are for connections, and don't give back */
	if (p.features & FEW_FDS)
		p.features &= ~(PROBES | PARTITIONS);
	p.servers = 1 + roll(&dice, MOST_SERVERS);
	if (p.servers == 1)
		p.features &= ~DEATHS;
	p.workers = 1 + roll(&dice, MOST_WORKERS);
	p.clients = 1 + roll(&dice, MOST_CLIENTS);
	p.sessions = 3 + roll(&dice, 10);
	p.memlock_kib = 64 << roll(&dice, 5);
	p.fds = 1 + roll(&dice, 8);
	choose_options(&p, &dice);
	choose_balance(&p);
	choose_listeners(&p, &dice);
	return p;
}

void print_plan(const struct plan *p)
{
	static const char *const names[] = {
		"reopens",   "pauses",	  "signals",	  "forks",
		"few-fds",   "faults",	  "failures",	  "partitions",
		"handovers", "no-pwait2", "other-user",	  "few-lwsockets",
		"deaths",    "probes",	  "unix-sockets",
	};
	const struct mp_options *o = &p->options;

	fprintf(stderr,
		"seed %u: %u servers of %u workers, %u listeners, %u clients of %u sessions\n"
		"  batch %u, lwsockets %u, buffers %u of %u, completions %u, moderation %u, peers %d, stealing after %u, other masks %d, fds %u, memlock %u KiB\n ",
		p->seed, p->servers, p->workers, p->listeners, p->clients,
		p->sessions, o->batch, o->max_lwsockets, o->buffers,
		o->buffer_size, o->completions, o->moderation_us,
		o->accept_peer, (unsigned int)o->steal_us, p->has_other_masks,
		p->fds, p->memlock_kib);
	for (unsigned int bit = 0; bit < sizeof(names) / sizeof(*names); bit++)
		if (p->features >> bit & 1)
			fprintf(stderr, " %s", names[bit]);
	fprintf(stderr, "; backlogs");
	for (unsigned int i = 0; i < p->listeners; i++)
		fprintf(stderr, " %d%s", p->backlogs[i],
			p->families[i] == AF_UNIX ? " (unix)" : "");
	fprintf(stderr, "\n");
}
