import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadPort } from '../../src/port/port.js';

/** What isn't memcached's server, isn't used with MegaPipe, or is ours. */
const others = /^(proxy|proto_proxy|mc_megapipe|testapp|sizes|tls|.*_priv)/;
/** They only tell the number. */
const tellers = /\b(f?printf|snprintf|LOGGER_LOG|MEMCACHED_\w+|assert|L_DEBUG) ?\(|\bcur_sfd = /;
/** What newer releases have beside: a dump more. */
const isNewer = (use: string) => /CRAWLER_MGDUMP, c, conn_fd\(c\)/.test(use);
/** The number is an index, or is passed on as one. */
const indexes = /conns\[|notify_worker_fd\(|conn_new\(|sfd = sfd$|^if \(fd != c->sfd\)$/;

/** Each statement of the server that takes the number of a connection for a descriptor. */
function usesOfDescriptors(version?: string): string[] {
  const tree = join(loadPort('memcached', version).buildDirectory, 'tree');
  const files = readdirSync(tree).filter((name) => name.endsWith('.c') && !others.test(name));
  return files.flatMap((name) => {
    const text = readFileSync(join(tree, name), 'latin1')
      .replace(/\/\*[\s\S]*?\*\/|\/\/.*$|^#.*$/gm, '')
      .replace(/"(\\.|[^"\\])*"/g, '""');
    const statements = text.split(/[;{}]/).map((statement) => statement.replace(/\s+/g, ' ').trim());
    const uses = statements.filter((statement) => /->sfd\b|\bconn_fd\(/.test(statement));
    return uses.filter((use) => !tellers.test(use) && !indexes.test(use)).map((use) => `${name}: ${use}`);
  });
}

/** Connections of a channel have no descriptor. What is new here with a new version needs megapipe_detach(), or another way. */
test.for(['bookworm', 'trixie'])(
  'every use of a connection as a descriptor is known, in %s’s memcached',
  (version) => {
    expect([...new Set(usesOfDescriptors(version))].filter((use) => !isNewer(use))).toEqual([
      // From the side threads, that have got conn_fd().
      'crawler.c: to_poll[0].fd = c->sfd',
      'logger.c: watchers_pollfds[nfd].fd = w->sfd',
      // The stock server's way to read, send, and wait.
      'memcached.c: return read(c->sfd, buf, count)',
      'memcached.c: return sendmsg(c->sfd, msg, flags)',
      'memcached.c: return write(c->sfd, buf, count)',
      'memcached.c: event_set(&c->event, c->sfd, c->ev_flags, event_handler, (void *)c)',
      'memcached.c: if (!settings.megapipe) close(c->sfd)',
      // Listening sockets and UDP have descriptors.
      'memcached.c: if (getsockname(c->sfd, (struct sockaddr *)&local_addr, &local_addr_len) == 0)',
      'memcached.c: else res = recvfrom(c->sfd, c->rbuf, c->rsize, 0, (struct sockaddr *)&c->request_addr, &c->request_addr_size)',
      'memcached.c: event_set(&c->event, c->sfd, new_flags, event_handler, (void *)c)',
      'memcached.c: if (listen(next->sfd, settings.backlog) != 0)',
      'memcached.c: if (listen(next->sfd, 0) != 0)',
      'memcached.c: else res = sendmsg(c->sfd, &msg, 0)',
      'memcached.c: sfd = accept4(c->sfd, (struct sockaddr *)&addr, &addrlen, SOCK_NONBLOCK)',
      'memcached.c: sfd = accept(c->sfd, (struct sockaddr *)&addr, &addrlen)',
      // Detached before: watch, and lru_crawler metadump.
      'proto_text.c: switch(logger_add_watcher(c, conn_fd(c), f))',
      'proto_text.c: int rv = lru_crawler_crawl(tokens[2].value, CRAWLER_METADUMP, c, conn_fd(c), LRU_CRAWLER_CAP_REMAINING)',
      // The stop of a thread that has died before it took its connection.
      'thread.c: close(item->sfd)',
    ]);
  },
);
