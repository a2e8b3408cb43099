import { createHash } from 'node:crypto';
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { UserError } from '../base/errors.js';
import { downloadSource } from '../debian/source.js';
import { fetchPackaging } from './debian.js';
import type { Port } from './port.js';

/** Where to take an application from instead of the distribution. */
export type SourceChoice = {
  /** A tarball's URL or path, or an unpacked tree. */
  source?: string | undefined;
  /** What the tarball must be, where port.json does not know it. */
  sha256?: string | undefined;
};

/** An application's pristine source: a verified tarball, or a tree that somebody vouches for. */
export type Source = {
  kind: 'tarball' | 'tree';
  path: string;
  /** The folder with Debian's packaging, where its patches are wanted. */
  packaging?: string | undefined;
};

const downloadLimit_ms = 120_000;

/** Get the source, checked against its sha256; what was fetched before is not fetched again. */
export async function fetchSource(port: Port, choice: SourceChoice = {}): Promise<Source> {
  const source = await fetchOriginal(port, choice);
  return source.kind === 'tree' ? source : { ...source, packaging: await fetchPackaging(port) };
}

async function fetchOriginal(port: Port, choice: SourceChoice): Promise<Source> {
  const { source } = choice;
  const { debian, upstream } = port;
  if (source === undefined && debian) return fetchDebian(port, debian);
  if (source === undefined) return fetchUrl(port, upstream?.url ?? '');
  if (/^https?:\/\//.test(source)) return fetchUrl(port, source, choice.sha256);
  const path = resolve(source);
  if (!existsSync(path)) {
    throw new UserError(`there is no source at ${path}`, {
      hint: `give a tarball, an unpacked tree or a URL of ${port.name} ${port.version}, or leave --source out`,
    });
  }
  if (statSync(path).isDirectory()) return { kind: 'tree', path };
  await verify(path, choice.sha256 ? [choice.sha256] : knownSums(port));
  return { kind: 'tarball', path };
}

async function fetchDebian(port: Port, debian: NonNullable<Port['debian']>): Promise<Source> {
  const path = join(port.buildDirectory, 'download', debian.file);
  const { version, release } = port;
  if (!existsSync(path)) await downloadSource(debian.package, { version, file: debian.file }, path, release);
  await verify(path, [debian.sha256]);
  return { kind: 'tarball', path };
}

async function fetchUrl(port: Port, url: string, sha256?: string): Promise<Source> {
  const expected = sha256 ? [sha256] : url === port.upstream?.url ? [port.upstream.sha256] : knownSums(port);
  const path = join(port.buildDirectory, 'download', basename(new URL(url).pathname) || 'source');
  if (!existsSync(path) || !expected.includes(await sha256Of(path))) await download(port, url, path);
  await verify(path, expected);
  return { kind: 'tarball', path };
}

function knownSums(port: Port): string[] {
  const sums = [port.debian?.sha256, port.upstream?.sha256].filter((sum) => sum !== undefined);
  return [...new Set(sums)];
}

async function download(port: Port, url: string, path: string): Promise<void> {
  mkdirSync(join(path, '..'), { recursive: true });
  const partial = `${path}.partial`;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(downloadLimit_ms) });
    if (!response.ok || !response.body) throw new Error(`the server answered ${response.status}`);
    await pipeline(Readable.fromWeb(response.body), createWriteStream(partial));
    renameSync(partial, path);
  } catch (cause) {
    rmSync(partial, { force: true });
    const why = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
    throw new UserError(`cannot download ${url}: ${why instanceof Error ? why.message : why}`, {
      hint: port.debian
        ? 'give a local tarball with --source, or leave --source out to take the distribution’s'
        : 'give a local tarball or tree with --source',
      cause,
    });
  }
}

async function verify(path: string, expected: string[]): Promise<void> {
  const actual = await sha256Of(path);
  if (expected.includes(actual)) return;
  throw new UserError(
    `the sha256 of ${path} is ${actual}, but ${expected.join(' or ')} was expected: it is not the release that the port is for, or it was damaged`,
    { hint: 'delete it and fetch it again, or, if you trust it, name its sum with --sha256' },
  );
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
