/* SPDX-License-Identifier: MIT */
/*
 * Who looks at the machine's sockets, in /proc/net/tcp or by netlink as ss
 * does, sees lwsockets with their user.
 */
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <sys/socket.h>

#include "channel.h"
#include "processes.h"

#define USER 4321

/* Rows of the two ends of a connection, by who has which port. */
struct shown {
	int rows;
	long user;
	unsigned int state;
};

static struct shown in_proc(int local, int remote)
{
	struct shown s = { .user = -1 };
	FILE *rows = fopen("/proc/net/tcp", "re");
	char row[512];

	CHECK(rows && fgets(row, sizeof(row), rows)); /* the heading */
	while (fgets(row, sizeof(row), rows)) {
		unsigned int from, to, state, user;

		if (sscanf(row, " %*d: %*x:%x %*x:%x %x %*x:%*x %*x:%*x %*x %u",
			   &from, &to, &state, &user) != 4)
			fail(__FILE__, __LINE__, "a row is %s", row);
		if ((int)from != local || (int)to != remote)
			continue;
		s = (struct shown){ s.rows + 1, user, state };
	}
	fclose(rows);
	return s;
}

static void ask_netlink(int fd)
{
	const struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
	} message = {
		.header = {
			.nlmsg_len = sizeof(message),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
		.request = {
			.sdiag_family = AF_INET,
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_ext = 0xff, /* tell everything */
			.idiag_states = -1,
		},
	};

	send_all(fd, &message, sizeof(message));
}

static bool is_between(const struct inet_diag_msg *m, int local, int remote)
{
	return m->id.idiag_sport == htons(local) &&
	       m->id.idiag_dport == htons(remote);
}

/* Takes one answer's rows; true at the end of the dump. */
static bool take_rows(const char *answer, int size, int local, int remote,
		      struct shown *s)
{
	const struct nlmsghdr *header = (const void *)answer;

	for (; NLMSG_OK(header, (unsigned int)size);
	     header = NLMSG_NEXT(header, size)) {
		const struct inet_diag_msg *m = NLMSG_DATA(header);

		if (header->nlmsg_type == NLMSG_DONE)
			return true;
		CHECK_IS(header->nlmsg_type, SOCK_DIAG_BY_FAMILY);
		if (!is_between(m, local, remote))
			continue;
		*s = (struct shown){ s->rows + 1, m->idiag_uid,
				     m->idiag_state };
	}
	return false;
}

static struct shown in_netlink(int local, int remote)
{
	int fd = SYS(
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
	static char answer[65536] __attribute__((aligned(8)));
	struct shown s = { .user = -1 };
	int size;

	ask_netlink(fd);
	do
		size = SYS(read(fd, answer, sizeof(answer)));
	while (!take_rows(answer, size, local, remote, &s));
	SYS(close(fd));
	return s;
}

static int port_of(int fd)
{
	struct address a = address_of(fd);

	return ntohs(((struct sockaddr_in *)&a.storage)->sin_port);
}

static void check_shown(int local, int remote, long user)
{
	struct shown s = in_proc(local, remote);

	CHECK_IS(s.rows, 1);
	CHECK_IS(s.state, TCP_ESTABLISHED);
	CHECK_IS(s.user, user);
	s = in_netlink(local, remote);
	CHECK_IS(s.rows, 1);
	CHECK_IS(s.user, user);
}

/* Closed, an ordinary connection is the machine's own or still its user's. */
static void check_shown_closed(int listener, int client)
{
	int other = connect_to(listener), local = port_of(listener);

	SYS(close(SYS(accept(listener, NULL, NULL))));
	CHECK_IS(in_proc(local, port_of(client)).user,
		 in_proc(local, port_of(other)).user);
	CHECK_IS(in_netlink(local, port_of(client)).user,
		 in_netlink(local, port_of(other)).user);
	SYS(close(other));
}

static void check_user(void *arg)
{
	int ch = open_device(), listener = *(int *)arg, client;
	uint32_t h;

	become(USER);
	CHECK_IS(try_setup(ch, LWSOCKETS), 0);
	h = accept_lwsocket(ch, listener, &client, 1);
	check_shown(port_of(listener), port_of(client), USER);
	check_shown(port_of(client), port_of(listener), USER);
	drop(ch, h);
	check_shown_closed(listener, client);
	SYS(close(ch));
}

void test(void)
{
	int listener;

	need_root();
	listener = listen_tcp(AF_INET);
	in_child(check_user, &listener);
}
