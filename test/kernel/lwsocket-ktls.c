/* SPDX-License-Identifier: MIT */
/* An lwsocket that the kernel encrypts (kTLS) works, or refuses to. */
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "channel.h"
#include "processes.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

static const struct tls12_crypto_info_aes_gcm_128 keys = {
	.info = { .version = TLS_1_2_VERSION,
		  .cipher_type = TLS_CIPHER_AES_GCM_128 },
	.key = "not so secret...",
};

static int set_tls(int ch, uint32_t h, int level, int name, const void *value,
		   uint32_t len)
{
	return try_socket_call(ch, h, MEGAPIPE_SETSOCKOPT, level, name,
			       (void *)value, &len);
}

static void encrypt_client(int client)
{
	if (setsockopt(client, IPPROTO_TCP, TCP_ULP, "tls", 4) < 0)
		skip("no kTLS here: %s", strerror(errno));
	SYS(setsockopt(client, SOL_TLS, TLS_TX, &keys, sizeof(keys)));
	SYS(setsockopt(client, SOL_TLS, TLS_RX, &keys, sizeof(keys)));
}

static char large[1 << 20];

static void receive_large(void *arg)
{
	static char got[sizeof(large)];

	receive_all(*(int *)arg, got, sizeof(got));
	check_filled(got, sizeof(got), 0);
}

static void check_large(int ch, uint32_t h, int client)
{
	pid_t child;

	fill(large, sizeof(large), 0);
	ASK(ch, WRITE, h, BYTES(large, sizeof(large)));
	STAYS_QUIET(ch);
	child = start(receive_large, &client);
	COMPLETES(ch, 1, WRITE, sizeof(large));
	passes(child);
}

/* It waits for bytes that aren't encrypted yet when it is made to expect so. */
static void check_meanwhile(int ch, int listener)
{
	int client;
	uint32_t h = accept_lwsocket(ch, listener, &client, 1);
	char text[8];

	ASK(ch, READ, h, BYTES(text, 8));
	STAYS_QUIET(ch);
	if (set_tls(ch, h, IPPROTO_TCP, TCP_ULP, "tls", 4) == 0) {
		CHECK_IS(set_tls(ch, h, SOL_TLS, TLS_RX, &keys, sizeof(keys)),
			 0);
		encrypt_client(client);
	}
	send_all(client, "hidden", 6);
	COMPLETES(ch, 1, READ, 6);
	CHECK_BYTES(text, "hidden", 6);
	SYS(close(client));
	drop(ch, h);
}

void test(void)
{
	int ch = new_channel(), listener = listen_tcp(AF_INET), client;
	uint32_t h;

	small_buffers((int[2]){ listener, listener });
	h = accept_lwsocket(ch, listener, &client, 1);
	encrypt_client(client);
	if (set_tls(ch, h, IPPROTO_TCP, TCP_ULP, "tls", 4) == 0) {
		CHECK_IS(set_tls(ch, h, SOL_TLS, TLS_TX, &keys, sizeof(keys)),
			 0);
		CHECK_IS(set_tls(ch, h, SOL_TLS, TLS_RX, &keys, sizeof(keys)),
			 0);
		check_echo(ch, h, 1, client);
		check_large(ch, h, client);
		SYS(shutdown(client, SHUT_RDWR));
		ASK(ch, CLOSE, h, .arg = -1);
		COMPLETES(ch, 1, CLOSE, 0);
	}
	check_meanwhile(ch, listener);
	SYS(close(ch));
}
