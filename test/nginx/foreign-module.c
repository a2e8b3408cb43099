// SPDX-License-Identifier: MIT
/*
 * A dynamic module of others: it echoes what a client sends by calling the
 * kernel on the connection's descriptor. "foreign" names the calls.
 */
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_stream.h>
#include <poll.h>

extern ngx_module_t ngx_stream_foreign_module;

struct foreign_conf {
	ngx_uint_t calls;
};

enum calls { READ, READV, RECVFROM, RECVMSG, POLL };

static ngx_conf_enum_t names[] = {
	{ ngx_string("read"), READ },
	{ ngx_string("readv"), READV },
	{ ngx_string("recvfrom"), RECVFROM },
	{ ngx_string("recvmsg"), RECVMSG },
	{ ngx_string("poll"), POLL },
	{ ngx_null_string, 0 },
};

static ssize_t receive(ngx_uint_t calls, int fd, char *buf, size_t size)
{
	struct iovec iov[2] = { { buf, 1 }, { buf + 1, size - 1 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	switch (calls) {
	case READV:
		return readv(fd, iov, 2);
	case RECVFROM:
		return recvfrom(fd, buf, size, 0, NULL, NULL);
	case RECVMSG:
		return recvmsg(fd, &msg, 0);
	case POLL:
		if (poll(&pfd, 1, 0) == -1)
			return -1;
	}
	return read(fd, buf, size);
}

static ssize_t respond(ngx_uint_t calls, int fd, char *buf, size_t size)
{
	struct iovec iov[2] = { { buf, 1 }, { buf + 1, size - 1 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	switch (calls) {
	case READV:
		return writev(fd, iov, size > 1 ? 2 : 1);
	case RECVFROM:
		return sendto(fd, buf, size, 0, NULL, 0);
	case RECVMSG:
		return sendmsg(fd, &msg, 0);
	}
	return write(fd, buf, size);
}

static void echo(ngx_event_t *rev)
{
	ngx_connection_t *c = rev->data;
	ngx_stream_session_t *s = c->data;
	struct foreign_conf *conf =
		ngx_stream_get_module_srv_conf(s, ngx_stream_foreign_module);
	char buf[256];
	ssize_t n;

	do {
		n = receive(conf->calls, c->fd, buf, sizeof(buf));
	} while (n > 0 && respond(conf->calls, c->fd, buf, n) == n);

	if (n == -1 && errno == EAGAIN) {
		rev->ready = 0;
		if (ngx_handle_read_event(rev, 0) == NGX_OK)
			return;
	}
	ngx_stream_finalize_session(s, NGX_STREAM_OK);
}

static void handle(ngx_stream_session_t *s)
{
	s->connection->read->handler = echo;
	echo(s->connection->read);
}

static void *create_conf(ngx_conf_t *cf)
{
	struct foreign_conf *conf = ngx_pcalloc(cf->pool, sizeof(*conf));

	if (conf)
		conf->calls = NGX_CONF_UNSET_UINT;
	return conf;
}

static char *set_foreign(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
	ngx_stream_core_srv_conf_t *core =
		ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_core_module);

	core->handler = handle;
	return ngx_conf_set_enum_slot(cf, cmd, conf);
}

static ngx_command_t commands[] = {
	{ ngx_string("foreign"), NGX_STREAM_SRV_CONF | NGX_CONF_TAKE1,
	  set_foreign, NGX_STREAM_SRV_CONF_OFFSET,
	  offsetof(struct foreign_conf, calls), &names },
	ngx_null_command,
};

static ngx_stream_module_t context = {
	.create_srv_conf = create_conf,
};

ngx_module_t ngx_stream_foreign_module = {
	NGX_MODULE_V1, &context, commands, NGX_STREAM_MODULE,
	NULL,	       NULL,	 NULL,	   NULL,
	NULL,	       NULL,	 NULL,	   NGX_MODULE_V1_PADDING,
};

/* What nginx's configure writes for a dynamic module. */
ngx_module_t *ngx_modules[] = { &ngx_stream_foreign_module, NULL };
char *ngx_module_names[] = { "ngx_stream_foreign_module", NULL };
char *ngx_module_order[] = { NULL };
