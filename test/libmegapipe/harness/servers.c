/* SPDX-License-Identifier: MIT */
#include <netinet/in.h>
#include <sys/eventfd.h>

#include "servers.h"

int need_cpus(int cpus[MOST_CPUS])
{
	int count = allowed_cpus(cpus, MOST_CPUS);

	if (count < 2)
		skip("needs two CPUs, and may use one only");
	if (!engine_has("partition"))
		skip("this kernel can't steer connections by CPU");
	return count;
}

void listen_group(int *listeners, const int *cpus, int count)
{
	struct address a = { .len = 0 };
	const int one = 1;

	for (int i = 0; i < count; i++) {
		int fd = SYS(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
		struct sockaddr_in loopback = {
			.sin_family = AF_INET,
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		};

		SYS(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one,
			       sizeof(one)));
		SYS(setsockopt(fd, SOL_SOCKET, SO_INCOMING_CPU, &cpus[i],
			       sizeof(cpus[i])));
		if (i == 0)
			SYS(bind(fd, (struct sockaddr *)&loopback,
				 sizeof(loopback)));
		else
			SYS(bind(fd, (struct sockaddr *)&a.storage, a.len));
		SYS(listen(fd, SOMAXCONN));
		a = address_of(fd);
		listeners[i] = fd;
	}
}

static void answer(struct server *s, struct mp_channel *ch, struct mp_event ev)
{
	int cpu = -1;
	socklen_t len = sizeof(cpu);

	CHECK(ev.result > 0);
	CHECK_IS(mp_getsockopt(ev.handle, SOL_SOCKET, SO_INCOMING_CPU, &cpu,
			       &len),
		 0);
	s->misplaced += !CPU_ISSET(cpu, &s->mask);
	CHECK_IS(mp_release(ch, &ev), 0);
	CHECK_IS(mp_write(ev.handle, "!", 1), 0);
	CHECK_IS(mp_close(ev.handle), 0);
}

static void serve(struct server *s, struct mp_channel *ch, struct mp_event ev)
{
	if (ev.cmd == MP_ACCEPT) {
		CHECK(ev.result >= 0);
		s->accepted++;
		CHECK_IS(mp_recv(make_handle(ch, ev.result)), 0);
	} else if (ev.cmd == MP_RECV) {
		answer(s, ch, ev);
	}
}

static void *run_server(void *arg)
{
	struct server *s = arg;
	struct mp_handle *listener, *stop;
	struct mp_channel *ch;
	struct mp_event ev;
	uint64_t count;

	SYS(sched_setaffinity(0, sizeof(s->mask), &s->mask));
	ch = make_channel();
	CHECK_IS(mp_register(ch, s->listener, NULL, &s->mask, &listener), 0);
	CHECK_IS(mp_accept(listener, MP_ACCEPT_ALL, s->is_lwsocket), 0);
	stop = make_handle(ch, s->stop_fd);
	CHECK_IS(mp_read(stop, &count, sizeof(count)), 0);
	CHECK_IS(mp_flush(ch), 0);
	SYS(sem_post(&s->ready));
	while ((ev = NEXT(ch)).handle != stop)
		serve(s, ch, ev);
	CHECK_IS(mp_unregister(listener), 0);
	mp_destroy(ch);
	return NULL;
}

void start_server(struct server *s)
{
	s->stop_fd = SYS(eventfd(0, EFD_CLOEXEC));
	SYS(sem_init(&s->ready, 0, 0));
	CHECK_IS(pthread_create(&s->thread, NULL, run_server, s), 0);
	SYS(sem_wait(&s->ready));
}

void stop_server(struct server *s)
{
	const uint64_t one = 1;

	send_all(s->stop_fd, &one, sizeof(one));
	CHECK_IS(pthread_join(s->thread, NULL), 0);
	SYS(close(s->stop_fd));
	SYS(sem_destroy(&s->ready));
}

struct clients {
	int cpu, listener, count;
};

static void *run_clients(void *arg)
{
	const struct clients *c = arg;
	char byte;

	pin_to(c->cpu);
	for (int i = 0; i < c->count; i++) {
		int fd = connect_to(c->listener);

		send_all(fd, "?", 1);
		receive_all(fd, &byte, 1);
		CHECK_IS(byte, '!');
		SYS(close(fd));
	}
	return NULL;
}

void clients_from(int cpu, int listener, int count)
{
	struct clients c = { cpu, listener, count };
	pthread_t thread;

	CHECK_IS(pthread_create(&thread, NULL, run_clients, &c), 0);
	CHECK_IS(pthread_join(thread, NULL), 0);
}
