/* SPDX-License-Identifier: MIT */
/* A file on a disk that never answers. */
#ifndef FUSE_H
#define FUSE_H

/*
 * Mounted for this process and its children alone. It can be opened and looked
 * at; what reads, writes or closes it waits for stuck_disk_ends(). Before any
 * channel is made; the test is skipped where there can be no such file.
 */
const char *stuck_file(void);
/* All that waits for it fails. A test must not end before. */
void stuck_disk_ends(void);

#endif
