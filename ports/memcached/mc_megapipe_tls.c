/* -*- Mode: C; tab-width: 4; c-basic-offset: 4; indent-tabs-mode: nil -*- */
/*
 * TLS: OpenSSL reads and writes connections of ours through a BIO. It reads
 * what the channel has received, and its records are sent by the channel, which
 * copies them. So a write is never short, and OpenSSL never has to wait for
 * one: the machine does, until all records are sent.
 *
 * While a side thread has the connection, the BIO reads and writes its fd.
 */
#include "memcached.h"

#ifdef TLS

#include "tls.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

/* What OpenSSL sends by itself while it reads: a client that makes it answer
 * and doesn't read the answers waits from here on.
 */
#define MEGAPIPE_TLS_SENDS 16

#ifndef MC_SSL_DISABLED
#define megapipe_ssl_sendmsg(c, msg, flags) ssl_sendmsg(c, msg, flags)
#endif

/************************************ BIO ************************************/

static ssize_t megapipe_tls_receive(conn *c, char *buf, int size) {
    const struct megapipe_conn *m = &c->megapipe;
    if (m->handle == NULL && m->unread_len == 0)
        return recv(m->fd, buf, size, 0);
    return megapipe_take(c, buf, size);
}

static int megapipe_bio_read(BIO *bio, char *buf, int size) {
    conn *c = BIO_get_data(bio);
    ssize_t n = megapipe_tls_receive(c, buf, size);
    BIO_clear_retry_flags(bio);
    if (n < 0 && errno == EAGAIN)
        BIO_set_retry_read(bio);
    c->megapipe.tls.eof = n == 0;
    return n;
}

static ssize_t megapipe_tls_send(conn *c, const char *buf, int size) {
    struct megapipe_conn *m = &c->megapipe;
    if (m->handle == NULL)
        return send(m->fd, buf, size, MSG_NOSIGNAL);
    if (!m->writing && m->tls.sends >= MEGAPIPE_TLS_SENDS) {
        m->tls.blocked = true;
        errno = EAGAIN;
        return -1;
    }
    int res = mp_send(m->handle, buf, size, MP_COPY);
    if (res != 0) {
        errno = -res;
        return -1;
    }
    m->tls.sends++;
    return size;
}

static int megapipe_bio_write(BIO *bio, const char *buf, int size) {
    ssize_t n = megapipe_tls_send(BIO_get_data(bio), buf, size);
    BIO_clear_retry_flags(bio);
    if (n < 0 && errno == EAGAIN)
        BIO_set_retry_write(bio);
    return n;
}

static long megapipe_bio_ctrl(BIO *bio, int cmd, long larg, void *parg) {
    const conn *c = BIO_get_data(bio);
    switch (cmd) {
    case BIO_CTRL_FLUSH:
    case BIO_CTRL_DUP:
        return 1;
    case BIO_CTRL_EOF:
        return c->megapipe.tls.eof;
    default:
        return 0;
    }
}

static BIO_METHOD *bio_method;

static void megapipe_bio_method(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "megapipe");
    if (method == NULL)
        return;
    BIO_meth_set_read(method, megapipe_bio_read);
    BIO_meth_set_write(method, megapipe_bio_write);
    BIO_meth_set_ctrl(method, megapipe_bio_ctrl);
    bio_method = method;
}

static BIO *megapipe_bio_new(conn *c) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, megapipe_bio_method);
    BIO *bio = bio_method != NULL ? BIO_new(bio_method) : NULL;
    if (bio != NULL) {
        BIO_set_data(bio, c);
        BIO_set_init(bio, 1);
    }
    return bio;
}

/***************************** READING AND WRITING ***************************/

#ifdef MC_SSL_DISABLED
/* The release logs what fails, and counts it. */
static void megapipe_tls_log(conn *c, int err) {
    char text[256];
    if (err == SSL_ERROR_SYSCALL)
        snprintf(text, sizeof(text), "%s", strerror(errno));
    else
        ERR_error_string_n(ERR_peek_error(), text, sizeof(text));
    LOGGER_LOG(c->thread->l, LOG_CONNEVENTS, LOGGER_CONNECTION_TLSERROR, NULL, c->sfd, text);
    if (err == SSL_ERROR_SYSCALL || !SSL_is_init_finished(c->ssl))
        return;
    STATS_LOCK();
    stats.ssl_proto_errors++;
    STATS_UNLOCK();
}
#else
#define megapipe_tls_log(c, err) ((void)0)
#endif

static void megapipe_tls_failed(conn *c, int err) {
    megapipe_tls_log(c, err);
    if (SSL_is_init_finished(c->ssl))
        return;
    if (settings.verbose) {
        fprintf(stderr, "SSL connection failed with error code : %d : %s\n",
                err, err == SSL_ERROR_SSL ? ERR_reason_error_string(ERR_peek_error()) : strerror(errno));
    }
    STATS_LOCK();
    stats.ssl_handshake_errors++;
    STATS_UNLOCK();
}

/* What memcached expects of read() and write(), where OpenSSL has not done it. */
static ssize_t megapipe_tls_result(conn *c, int n) {
    int error = errno;
    int err = SSL_get_error(c->ssl, n);
    switch (err) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    }
    megapipe_tls_failed(c, err);
    /* Or the next call on another connection would find it. */
    ERR_clear_error();
    errno = err == SSL_ERROR_SYSCALL && error != 0 && error != EAGAIN ? error : EPROTO;
    return c->megapipe.tls.eof ? 0 : -1;
}

/* conn->read */
static ssize_t megapipe_tls_read(conn *c, void *buf, size_t count) {
    const struct megapipe_conn *m = &c->megapipe;
    int n = SSL_read(c->ssl, buf, count < INT_MAX ? count : INT_MAX);
    if (n > 0)
        return n;
    ssize_t res = megapipe_tls_result(c, n);
    if (res < 0 && errno == EAGAIN && c->state == conn_nread && m->handle != NULL && !m->tls.blocked) {
        megapipe_ask_value(c, NULL, 0); /* its turn; the bytes are OpenSSL's first */
        errno = EAGAIN;
    }
    return res;
}

/* conn->write, of side threads */
static ssize_t megapipe_tls_write(conn *c, void *buf, size_t count) {
    int n = SSL_write(c->ssl, buf, count);
    return n > 0 ? n : megapipe_tls_result(c, n);
}

/* conn->sendmsg: EAGAIN. When all records are sent, megapipe_sent() tells. */
static ssize_t megapipe_tls_sendmsg(conn *c, struct msghdr *msg, int flags) {
    struct megapipe_conn *m = &c->megapipe;
    if (!megapipe_attached(c)) {
        errno = ENOMEM;
        return -1;
    }
    m->writing = true;
    m->tls.written = megapipe_ssl_sendmsg(c, msg, flags);
    if (m->tls.written > 0) {
        errno = EAGAIN;
        return -1;
    }
    m->writing = false;
    if (megapipe_tls_result(c, m->tls.written) == 0 || errno == EAGAIN)
        errno = EPROTO;
    return -1;
}

/* Records are being sent. */
bool megapipe_tls_sends(const conn *c) {
    return c->megapipe.tls.sends > 0;
}

/* Records are sent, or not. Returns whether the machine has waited for it. */
bool megapipe_tls_sent(conn *c, ssize_t result) {
    struct megapipe_conn *m = &c->megapipe;
    if (result < 0)
        m->tls.send_error = result;
    if (--m->tls.sends > 0)
        return false;

    if (m->writing) {
        m->writing = false;
        m->write_done = true;
        m->write_result = m->tls.send_error < 0 ? m->tls.send_error : m->tls.written;
        return true;
    }
    bool waits = m->tls.blocked || (m->leaving && !m->reading);
    m->tls.blocked = false;
    return waits;
}

/* What was received has to wait until all is sent. */
bool megapipe_tls_waits(const conn *c) {
    return c->megapipe.tls.blocked;
}

/* OpenSSL may also have decrypted more than it was asked for. */
bool megapipe_tls_has_unread(const conn *c) {
    const struct megapipe_conn *m = &c->megapipe;
    if (m->tls.blocked)
        return false;
    return m->unread_len > 0 || m->read_done || SSL_pending(c->ssl) > 0;
}

/****************************** BEGINNING AND END ****************************/

#ifndef MC_SSL_DISABLED
/* In newer releases it is in tls.c. */
static SSL *megapipe_ssl_new(const conn *listener) {
    SSL_LOCK();
    SSL *ssl = SSL_new(settings.ssl_ctx);
    SSL_UNLOCK();
    if (ssl != NULL)
        SSL_set_info_callback(ssl, ssl_callback);
    return ssl;
}
#endif

/* A new connection of a listener with TLS. */
bool megapipe_tls_start(conn *c, const conn *listener) {
    SSL *ssl = megapipe_ssl_new(listener);
    BIO *bio = ssl != NULL ? megapipe_bio_new(c) : NULL;
    if (bio == NULL) {
        if (settings.verbose)
            fprintf(stderr, "Failed to created the SSL object\n");
        SSL_free(ssl);
        ERR_clear_error();
        return false;
    }
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    c->ssl = ssl;
    c->ssl_wbuf = c->thread->ssl_wbuf;
    c->ssl_enabled = true;
    c->read = megapipe_tls_read;
    c->sendmsg = megapipe_tls_sendmsg;
    c->write = megapipe_tls_write;
    return true;
}

/* close_notify goes behind what is sent, unless that is cut off. */
static void megapipe_tls_shutdown(conn *c) {
    if (!c->megapipe.writing && !(SSL_get_shutdown(c->ssl) & SSL_SENT_SHUTDOWN))
        SSL_shutdown(c->ssl);
    ERR_clear_error();
}

/* Before the connection is closed. */
void megapipe_tls_end(conn *c) {
    megapipe_tls_shutdown(c);
    SSL_free(c->ssl);
    c->ssl = NULL;
    c->ssl_enabled = false;
}

/* The worker stops: while there is a channel, but for what side threads have. */
void megapipe_tls_end_all(LIBEVENT_THREAD *me) {
    for (int i = 0; i < max_fds; i++) {
        conn *c = conns[i];
        if (c != NULL && c->thread == me && c->ssl != NULL && c->megapipe.handle != NULL)
            megapipe_tls_shutdown(c);
    }
    mp_flush(me->megapipe->channel);
}

#endif
