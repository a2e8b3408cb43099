/* -*- Mode: C; tab-width: 4; c-basic-offset: 4; indent-tabs-mode: nil -*- */
/*
 * -o drop_privileges: what the filters of linux_priv.c have to let through when
 * channels do the I/O. A worker gets its filter when it listens already, so
 * that those calls needn't be among them.
 */
#include "memcached.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>

/* MEGAPIPE_IOC, the type of engine kernel's requests. */
#define MEGAPIPE_IOC_TYPE 0xb7

static int allow(scmp_filter_ctx ctx, int call) {
    return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call, 0);
}

static int allow_if(scmp_filter_ctx ctx, int call, struct scmp_arg_cmp condition) {
    return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call, 1, condition);
}

static int allow_engines(scmp_filter_ctx ctx) {
    int rc = allow(ctx, SCMP_SYS(io_uring_enter)) | allow(ctx, SCMP_SYS(io_uring_register));
    rc |= allow(ctx, SCMP_SYS(epoll_pwait2)) | allow(ctx, SCMP_SYS(accept4));
    rc |= allow(ctx, SCMP_SYS(sendto)) | allow(ctx, SCMP_SYS(recvmsg));
    rc |= allow(ctx, SCMP_SYS(getsockopt)) | allow(ctx, SCMP_SYS(setsockopt));
    rc |= allow_if(ctx, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_MASKED_EQ, 0xff00, MEGAPIPE_IOC_TYPE << 8));
    /* A command gives its connection's fd to a side thread. */
    rc |= allow_if(ctx, SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, F_GETFL));
    rc |= allow_if(ctx, SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, F_SETFL));
    rc |= allow_if(ctx, SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, F_DUPFD_CLOEXEC));
    return rc;
}

/* Workers ask each other for what "stats conns" and "stats megapipe" tell, and
 * wake the main thread if it is to stop.
 */
static int allow_notifying(scmp_filter_ctx ctx) {
    int rc = allow_if(ctx, SCMP_SYS(write), SCMP_A0(SCMP_CMP_EQ, megapipe_wakeup_fd()));
    for (int i = 0; i < settings.num_threads; i++) {
        int fd = megapipe_notify_fd(get_worker_thread(i));
        rc |= allow_if(ctx, SCMP_SYS(write), SCMP_A0(SCMP_CMP_EQ, fd));
    }
    return rc;
}

static int deny(scmp_filter_ctx ctx, int call, int error) {
    return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(error), call, 0);
}

/*
 * "lru_crawler enable" has a worker make a thread, which lives with this filter.
 * Today's C library tries clone3() before clone(), and opens a file in /proc for
 * the thread's name, which it can do without.
 */
static int allow_crawler(scmp_filter_ctx ctx) {
    int rc = deny(ctx, SCMP_SYS(clone3), ENOSYS);
    if (!settings.relaxed_privileges)
        rc |= deny(ctx, SCMP_SYS(openat), EACCES);
    return rc | allow(ctx, SCMP_SYS(rseq)) | allow(ctx, SCMP_SYS(clock_nanosleep));
}

/* For drop_worker_privileges(). */
int megapipe_allow_worker(void *ctx) {
    int rc = allow_engines(ctx) | allow_crawler(ctx);
    if (!settings.relaxed_privileges)
        rc |= allow_notifying(ctx);
    /* OpenSSL's random numbers */
    return rc | allow(ctx, SCMP_SYS(getrandom));
}

/* For drop_privileges(): at the end it sends close_notify. */
int megapipe_allow_main(void *ctx) {
    return allow(ctx, SCMP_SYS(sendto));
}

static void megapipe_drop_worker(LIBEVENT_THREAD *me, conn *unused) {
    drop_worker_privileges();
    megapipe_worker_listens();
}

/* From the main thread, when all workers listen. */
void megapipe_drop_privileges(void) {
    megapipe_workers_begin();
    for (int i = 0; i < settings.num_threads; i++) {
        thread_call(get_worker_thread(i), megapipe_drop_worker, NULL);
    }
    megapipe_await_workers();
}
