
/*
 * TLS: OpenSSL reads and writes connections of ours through a BIO.
 */

#include <ngx_megapipe.h>


#if (NGX_OPENSSL || NGX_SSL)

int __real_SSL_set_fd(SSL *ssl, int fd);


static int
ngx_megapipe_bio_read(BIO *bio, char *buf, int size)
{
    ssize_t  n;

    BIO_clear_retry_flags(bio);

    n = ngx_megapipe_read(BIO_get_data(bio), (u_char *) buf, size, 0);

    if (n == -1 && ngx_errno == NGX_EAGAIN) {
        BIO_set_retry_read(bio);
    }

    return n;
}


static int
ngx_megapipe_bio_write(BIO *bio, const char *buf, int size)
{
    ssize_t  n;

    BIO_clear_retry_flags(bio);

    n = ngx_megapipe_write(BIO_get_data(bio), (u_char *) buf, size);

    if (n == -1 && ngx_errno == NGX_EAGAIN) {
        BIO_set_retry_write(bio);
    }

    return n;
}


static long
ngx_megapipe_bio_ctrl(BIO *bio, int cmd, long larg, void *parg)
{
    ngx_megapipe_conn_t *mc = BIO_get_data(bio);

    switch (cmd) {

    case BIO_CTRL_FLUSH:
    case BIO_CTRL_DUP:
        return 1;

    case BIO_CTRL_EOF:
        return mc->eof && !mc->held;

    default:
        return 0;
    }
}


static BIO_METHOD *
ngx_megapipe_bio_method(void)
{
    static BIO_METHOD  *method;

    if (method == NULL) {
        method = BIO_meth_new(BIO_get_new_index()|BIO_TYPE_SOURCE_SINK,
                              "megapipe");
        if (method) {
            BIO_meth_set_read(method, ngx_megapipe_bio_read);
            BIO_meth_set_write(method, ngx_megapipe_bio_write);
            BIO_meth_set_ctrl(method, ngx_megapipe_bio_ctrl);
        }
    }

    return method;
}


/* the kernel can't decrypt what the channel has received already */

static void
ngx_megapipe_tell_ktls(SSL *ssl)
{
#ifdef SSL_OP_ENABLE_KTLS
    static ngx_uint_t  told;

    if (told || !(SSL_get_options(ssl) & SSL_OP_ENABLE_KTLS)) {
        return;
    }

    told = 1;

    ngx_log_error(NGX_LOG_WARN, ngx_megapipe.log, 0,
                  "megapipe: \"ssl_conf_command Options KTLS\" has no effect, "
                  "OpenSSL encrypts in this process");
#endif
}


int
__wrap_SSL_set_fd(SSL *ssl, int fd)
{
    BIO                  *bio;
    BIO_METHOD           *method;
    ngx_megapipe_conn_t  *mc;

    mc = ngx_megapipe_connection(fd);

    if (mc == NULL) {
        return __real_SSL_set_fd(ssl, fd);
    }

    ngx_megapipe_tell_ktls(ssl);

    method = ngx_megapipe_bio_method();
    if (method == NULL) {
        return 0;
    }

    bio = BIO_new(method);
    if (bio == NULL) {
        return 0;
    }

    BIO_set_data(bio, mc);
    BIO_set_init(bio, 1);

    SSL_set_bio(ssl, bio, bio);

    return 1;
}

#endif
