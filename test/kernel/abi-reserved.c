/* SPDX-License-Identifier: MIT */
/* Reserved members and unknown flags are refused, by every call. */
#include <netinet/in.h>

#include "channel.h"

static char memory[64];

static void check_buffers(int ch)
{
	struct megapipe_free *stack = calloc(5, sizeof(uint32_t));
	const struct megapipe_buffers right = {
		.memory = ADDRESS(memory),
		.free = ADDRESS(stack),
		.count = 4,
		.size = 16,
		.stride = 16,
	};
	struct megapipe_buffers wrong = right;

	wrong.reserved = 1;
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_BUFFERS, &wrong), -EINVAL);
	wrong = right;
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_BUFFERS, &wrong), 0);
}

static void check_register(int ch, int fd)
{
	struct megapipe_register reg = { .fd = fd };

	for (int bit = 0; bit < 32; bit++) {
		reg.flags = 1u << bit;
		CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_REGISTER, &reg), -EINVAL);
	}
	CHECK_IS(stats_now(ch).files, 0);
}

static void check_fd(int ch, uint32_t handle)
{
	struct megapipe_fd arg = { .handle = handle, .reserved = 1 };

	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_FD, &arg), -EINVAL);
}

static void check_socket(int ch, uint32_t handle)
{
	struct sockaddr_in name;
	struct megapipe_socket right = {
		.handle = handle,
		.call = MEGAPIPE_GETSOCKNAME,
		.value = ADDRESS(&name),
		.len = sizeof(name),
	};
	struct megapipe_socket wrong = right;

	wrong.reserved = 1;
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_SOCKET, &wrong), -EINVAL);
	for (uint32_t call = 0; call < 10; call++) {
		wrong = right;
		wrong.call = call == 9 ? UINT32_MAX : call;
		if (call == 0 || call > MEGAPIPE_GETPEERNAME)
			CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_SOCKET, &wrong),
				 -EINVAL);
	}
	CHECK_IS(try_ioctl(ch, MEGAPIPE_IOC_SOCKET, &right), 0);
}

void test(void)
{
	int ch = new_channel(), listener = listen_tcp(AF_INET), client;
	uint32_t h;

	check_buffers(ch);
	check_register(ch, listener);
	h = accept_lwsocket(ch, listener, &client, 1);
	check_fd(ch, h);
	check_socket(ch, h);
	check_echo(ch, h, 1, client);
	SYS(close(ch));
}
