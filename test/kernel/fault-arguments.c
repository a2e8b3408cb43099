/* SPDX-License-Identifier: MIT */
/* An ioctl whose argument is nowhere, or points nowhere, is -EFAULT. */
#include "channel.h"
#include "nowhere.h"

static int try_ioctl_at(int ch, unsigned long request, uint64_t address)
{
	return try_ioctl(ch, request, (void *)(uintptr_t)address);
}

static void check_arguments(int ch, int fresh)
{
	static const unsigned long requests[] = {
		MEGAPIPE_IOC_BUFFERS, MEGAPIPE_IOC_REGISTER, MEGAPIPE_IOC_RUN,
		MEGAPIPE_IOC_FD,      MEGAPIPE_IOC_SOCKET,   MEGAPIPE_IOC_STATS,
	};

	for (size_t n = 0; n < NOWHERES; n++) {
		CHECK_IS(try_ioctl_at(fresh, MEGAPIPE_IOC_SETUP, nowhere[n]),
			 -EFAULT);
		CHECK_IS(try_ioctl_at(ch, MEGAPIPE_IOC_INFO, nowhere[n]),
			 -EFAULT);
		for (size_t i = 0; i < sizeof(requests) / sizeof(*requests);
		     i++)
			CHECK_IS(try_ioctl_at(ch, requests[i], nowhere[n]),
				 -EFAULT);
	}
}

/* The result can't be stored: then nothing must have been made. */
static void check_read_only(int ch, int listener)
{
	struct megapipe_register *reg = read_only_page();
	struct megapipe_run *run = read_only_page();

	CHECK_IS(reg->fd, 0);
	CHECK_IS(SYS(dup2(listener, 0)), 0);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_REGISTER, reg), -EFAULT);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_RUN, run), -EFAULT);
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_STATS, run), -EFAULT);
	CHECK_IS(stats_now(ch).files, 0);
}

static void check_commands(int ch)
{
	for (size_t n = 0; n < NOWHERES; n++) {
		struct megapipe_run run = { .commands = nowhere[n],
					    .ncommands = 1 };

		CHECK_IS(try_run(ch, &run), -EFAULT);
		CHECK_IS(run.done, 0);
	}
}

/* The operation is over and can't be told: the next ones can. */
static void check_completions(int ch)
{
	struct megapipe_command command;
	int pair[2];
	uint32_t h;

	unix_pair(pair, SOCK_STREAM);
	h = add(ch, pair[0], 1);
	command = COMMAND(WRITE, h, BYTES("x", 1));
	for (size_t n = 0; n < NOWHERES; n++) {
		struct megapipe_run run = {
			.commands = ADDRESS(&command),
			.ncommands = 1,
			.completions = nowhere[n],
			.max = 1,
			.timeout_ns = PATIENCE_NS,
		};

		CHECK_IS(try_run(ch, &run), -EFAULT);
	}
	drop(ch, h);
	check_usable(ch);
}

static void check_socket(int ch, int listener)
{
	int client;
	uint32_t h = accept_lwsocket(ch, listener, &client, 1);

	for (size_t n = 0; n < NOWHERES; n++) {
		for (int call = 1; call <= MEGAPIPE_GETPEERNAME; call++) {
			uint32_t len = 128;
			int level = call <= MEGAPIPE_GETSOCKOPT ? SOL_SOCKET :
								  0;
			int r = try_socket_call(ch, h, call, level,
						level ? SO_RCVBUF : 0,
						(void *)(uintptr_t)nowhere[n],
						&len);

			if (call != MEGAPIPE_GETSOCKOPT || r != -ENOSYS)
				CHECK_IS(r, -EFAULT);
		}
	}
	check_echo(ch, h, 1, client);
	drop(ch, h);
}

void test(void)
{
	int ch = new_channel(), listener = listen_tcp(AF_INET);

	check_arguments(ch, open_device());
	check_read_only(ch, listener);
	check_commands(ch);
	check_completions(ch);
	check_socket(ch, listener);
	SYS(close(ch));
}
