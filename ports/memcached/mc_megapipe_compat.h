/* -*- Mode: C; tab-width: 4; c-basic-offset: 4; indent-tabs-mode: nil -*- */
/*
 * What the releases from 1.6.18 on do in different ways. Each is recognized by
 * what it defines itself. Included by mc_megapipe.h.
 */
#ifndef MC_MEGAPIPE_COMPAT_H
#define MC_MEGAPIPE_COMPAT_H

#ifdef IO_PENDING_TYPE_NONE
/* IO objects (extstore's) are collected by a worker, which submits them between
 * two events, and come back through an eventfd of their own.
 */
#define MEGAPIPE_IO_EVENTFD
#define megapipe_notify_fd(me) ((me)->n.notify_event_fd)
#define megapipe_io_setup(c) ((void)0)
#define megapipe_io_submit(me) thread_io_queue_submit(me)
#define megapipe_io_collected(me) ((me)->conns_tosubmit > 0)
#else
/* A connection has IO queues, and submits them itself. */
#define megapipe_notify_fd(me) ((me)->notify_event_fd)
#define megapipe_io_setup(c) conn_io_queue_setup(c)
#define megapipe_io_submit(me) ((void)0)
#define megapipe_io_collected(me) false
#endif

#endif
