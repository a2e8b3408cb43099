import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  mkdtempSync,
  openSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testUnless } from '../skip.js';
import { ask, digest, longText, open } from './client.js';
import { describeKinds } from './kinds.js';
import { residentKib } from './processes.js';
import { get } from './raw-answers.js';
import { type Nginx, start } from './server.js';
import { pause } from './waiting.js';

const mebibyte = 1 << 20;

/** As long as the longest file of the paper's workloads, and not a multiple of any block's size. */
const huge = { name: 'huge', length: 253 * mebibyte - 3, digest: '' };
const big = { name: 'big', length: 24 * mebibyte + 1, digest: '' };

let folder = '';

async function* writtenTo(file: string, data: AsyncIterable<Buffer>) {
  const handle = await openFile(file, 'w');
  for await (const chunk of data) {
    await handle.write(chunk);
    yield chunk;
  }
  await handle.close();
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'megapipe-nginx-large-'));
  chmodSync(folder, 0o755);
  for (const file of [huge, big])
    file.digest = await digest(writtenTo(join(folder, file.name), longText(file.length)));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A location for the large files, beside the server's own root. */
const large = (directives = '') => ({
  server: () => `location ~ ^/(huge|big)$ { root ${folder}; ${directives} }`,
});

const download = async (nginx: Nginx, { name }: { name: string }) =>
  digest(await open(`${nginx.url}/${name}`));

async function* cutOut(data: AsyncIterable<Buffer>, from: number, to: number) {
  let at = 0;
  for await (const chunk of data) {
    yield chunk.subarray(Math.max(0, from - at), Math.max(0, to - at));
    at += chunk.length;
  }
}

async function* slowly(data: AsyncIterable<Buffer>) {
  for await (const chunk of data) {
    await pause(1);
    yield chunk;
  }
}

const ways = [
  { name: 'sendfile', directives: 'sendfile on;', file: huge },
  {
    name: 'sendfile in turns',
    directives: 'sendfile on; tcp_nopush on; sendfile_max_chunk 300k;',
    file: big,
  },
  { name: 'read and write', directives: 'sendfile off;', file: big },
  { name: 'odd buffers', directives: 'sendfile off; output_buffers 3 50001;', file: big },
  { name: 'aio threads', directives: 'sendfile off; aio threads;', file: big },
  { name: 'aio threads and sendfile', directives: 'sendfile on; aio threads;', file: big },
  { name: 'aio and directio', directives: 'aio on; directio 1m; output_buffers 1 512k;', file: big },
];

/** Not every file system has it: tmpfs only from Linux 6.6. */
function whyNoDirectIo(): string | undefined {
  const file = join(tmpdir(), `megapipe-direct-${process.pid}`);
  try {
    closeSync(openSync(file, constants.O_CREAT | constants.O_RDWR | constants.O_DIRECT));
    return undefined;
  } catch (error) {
    return `${tmpdir()} has no direct I/O: ${(error as NodeJS.ErrnoException).code}`;
  } finally {
    rmSync(file, { force: true });
  }
}

describeKinds((kind) => {
  // Sanitized servers are slow: they get what is read and written in different ways.
  for (const { name, directives, file } of kind.sanitize ? ways.slice(0, 5) : ways) {
    const missing = directives.includes('directio') ? whyNoDirectIo() : undefined;
    testUnless(missing)(`a large file by ${name}`, async () => {
      const nginx = await start(kind, large(directives));
      const asked = kind.sanitize ? big : file;
      expect(await download(nginx, asked)).toBe(asked.digest);
    });
  }

  test('a large file as chunks of gzip', async () => {
    const nginx = await start(kind, large('gzip on; gzip_types *; gzip_comp_level 1;'));
    const response = await open(`${nginx.url}/big`, { headers: { 'Accept-Encoding': 'gzip' } });
    expect(response.headers['content-encoding']).toBe('gzip');
    expect(await digest(response.pipe(createGunzip()))).toBe(big.digest);
  });

  test('ranges of a large file', async () => {
    const nginx = await start(kind, large());
    const Range = `bytes=${mebibyte}-${20 * mebibyte - 1}`;
    const part = await digest(await open(`${nginx.url}/big`, { headers: { Range } }));
    expect(part).toBe(await digest(cutOut(longText(big.length), mebibyte, 20 * mebibyte)));
  });

  for (const lwsocket of kind.engine ? [true, false] : [true]) {
    test(`many large files at once, ${lwsocket ? 'with' : 'without'} lwsocket`, async () => {
      const nginx = await start(kind, {
        ...large('sendfile on; open_file_cache max=10;'),
        partition: true,
        lwsocket,
      });
      const count = kind.sanitize ? 4 : 8;
      const digests = await Promise.all(Array.from({ length: count }, () => download(nginx, big)));
      expect(new Set(digests)).toEqual(new Set([big.digest]));
    });
  }

  test('clients that read slowly, or not at all, hold up nobody and fill no memory', async () => {
    const nginx = await start(kind, { ...large('sendfile off;'), files: { small: 'small' } });
    const worker = nginx.workers()[0] as number;
    await ask(`${nginx.url}/small`);
    const before = residentKib(worker);
    const stalled = await Promise.all(Array.from({ length: 30 }, () => open(`${nginx.url}/huge`)));
    const slow = open(`${nginx.url}/big`).then((response) => digest(slowly(response)));
    for (let i = 0; i < 100; i += 1) expect((await ask(`${nginx.url}/small`)).text).toBe('small');
    // AddressSanitizer keeps what was freed.
    if (!kind.sanitize) expect(residentKib(worker) - before).toBeLessThan(64 * 1024);
    expect(await slow).toBe(big.digest);
    const last = stalled.pop() as (typeof stalled)[number];
    for (const response of stalled) response.destroy();
    if (kind.sanitize) last.destroy();
    else expect(await digest(last)).toBe(huge.digest);
  });

  for (const sendfile of ['on', 'off']) {
    test(`a file that is removed while it is sent, sendfile ${sendfile}`, async () => {
      const server = `sendfile ${sendfile};`;
      const nginx = await start(kind, {
        server,
        prepare: (to) => copyFileSync(join(folder, 'big'), join(to, 'html/gone')),
      });
      const response = await open(`${nginx.url}/gone`);
      unlinkSync(join(nginx.directory, 'html/gone'));
      expect((await ask(`${nginx.url}/gone`)).status).toBe(404);
      expect(await digest(response)).toBe(big.digest);
    });

    test(`a file that is truncated while it is sent, sendfile ${sendfile}`, async () => {
      const nginx = await start(kind, {
        server: `sendfile ${sendfile};`,
        prepare: (to) => copyFileSync(join(folder, 'big'), join(to, 'html/cut')),
        expected: [
          /was truncated/,
          /read only \d+ of \d+ from/,
          /pread\(\) .* failed/,
          /send\(\) failed \(5:/,
        ],
      });
      const connection = await nginx.connect();
      connection.socket.pause();
      connection.write(get('/cut'));
      writeFileSync(join(nginx.directory, 'html/small'), 'small');
      // The socket's buffers don't hold the file: it has not been read to its end when this has been answered.
      expect((await ask(`${nginx.url}/small`)).text).toBe('small');
      truncateSync(join(nginx.directory, 'html/cut'), 10);
      connection.socket.resume();
      expect((await connection.rest()).length).toBeLessThan(big.length);
      expect((await ask(`${nginx.url}/small`)).text).toBe('small');
    });
  }

  test('limit_rate, and limit_rate_after', async () => {
    const nginx = await start(kind, large('limit_rate 4m; limit_rate_after 14m;'));
    const begin = performance.now();
    expect(await download(nginx, big)).toBe(big.digest);
    // 10 MiB beyond the first 14, at 4 MiB a second, with a clock of whole seconds.
    expect(performance.now() - begin).toBeGreaterThan(900);
  });
});
