import { createHash } from 'node:crypto';
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { UserError } from '../base/errors.js';
import { downloadSource } from '../debian/source.js';
import { fetchPackaging, foreignRelease } from './debian.js';
import type { Port } from './port.js';

/** Where to take an application from instead of where its port says. */
export type SourceChoice = {
  /** A tarball's URL or path, or an unpacked tree, which is kept for the builds that name none; `release` ends that. */
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
  if (choice.source === 'release') {
    rmSync(keptFile(port), { force: true });
    return fetchRelease(port);
  }
  const given = choice.source === undefined ? readKept(port) : choice;
  if (given?.source === undefined) return fetchRelease(port);
  const source = await fetchGiven(port, given.source, given.sha256);
  if (given === choice) keep(port, given);
  return source;
}

/** What a build was given with --source is for those that come after it, too; set-up's and bench's, say. */
const keptFile = (port: Port) => join(port.buildDirectory, 'source.json');

const kept = z.object({ source: z.string(), sha256: z.string().optional() });

function readKept(port: Port): z.infer<typeof kept> | undefined {
  const file = keptFile(port);
  return existsSync(file) ? kept.parse(JSON.parse(readFileSync(file, 'utf8'))) : undefined;
}

function keep(port: Port, { source = '', sha256 }: SourceChoice): void {
  const absolute = isUrl(source) ? source : resolve(source);
  mkdirSync(port.buildDirectory, { recursive: true });
  writeFileSync(keptFile(port), `${JSON.stringify({ source: absolute, sha256 })}\n`);
}

const isUrl = (source: string) => /^https?:\/\//.test(source);

async function fetchGiven(port: Port, source: string, sha256: string | undefined): Promise<Source> {
  if (isUrl(source)) return fetchUrl(port, source, sha256 ? [sha256] : knownSums(port));
  const path = resolve(source);
  if (!existsSync(path)) {
    throw new UserError(`there is no source at ${path}`, {
      hint: `give a tarball, an unpacked tree or a URL of ${port.name} ${port.version} with --source, or --source release for the release itself`,
    });
  }
  if (statSync(path).isDirectory()) return { kind: 'tree', path };
  await verify(path, sha256 ? [sha256] : knownSums(port));
  return { kind: 'tarball', path };
}

/**
 * The release: as it was fetched before, or from the first place that has it. All places are held to the same sums, so it
 * does not matter which one it is.
 */
async function fetchRelease(port: Port): Promise<Source> {
  const cached = await findCached(port);
  if (cached) return { kind: 'tarball', path: cached };
  const failures: UserError[] = [];
  for (const fetchFrom of placesOf(port)) {
    try {
      return await fetchFrom();
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      failures.push(error);
    }
  }
  const [first, ...more] = failures;
  if (more.length === 0 && first) throw first;
  throw new UserError(
    `${port.name} ${port.version} is to be had nowhere: ${failures.map(({ message }) => message).join('; ')}`,
    { hint: 'give a local tarball or tree with --source', cause: first },
  );
}

function placesOf(port: Port): (() => Promise<Source>)[] {
  const { debian, upstream, elsewhere } = port;
  const urls = [...(upstream ? [upstream] : []), ...elsewhere].map(({ url }) => url);
  return [
    ...(debian ? [() => fetchDebian(port, debian)] : []),
    ...urls.map((url) => () => fetchUrl(port, url, knownSums(port))),
  ];
}

async function findCached(port: Port): Promise<string | undefined> {
  const folder = join(port.buildDirectory, 'download');
  const files = existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : [];
  for (const file of files.filter((entry) => entry.isFile())) {
    const path = join(folder, file.name);
    if (knownSums(port).includes(await sha256Of(path))) return path;
  }
  return undefined;
}

async function fetchDebian(port: Port, debian: NonNullable<Port['debian']>): Promise<Source> {
  const path = join(port.buildDirectory, 'download', debian.file);
  const { version } = port;
  await downloadSource(debian.package, { version, file: debian.file }, path, foreignRelease(port));
  await verify(path, knownSums(port));
  return { kind: 'tarball', path };
}

async function fetchUrl(port: Port, url: string, expected: string[]): Promise<Source> {
  const path = join(port.buildDirectory, 'download', basename(new URL(url).pathname) || 'source');
  if (!existsSync(path) || !expected.includes(await sha256Of(path))) await download(url, path);
  await verify(path, expected);
  return { kind: 'tarball', path };
}

function knownSums(port: Port): string[] {
  const { debian, upstream, elsewhere } = port;
  const sums = [debian, upstream, ...elsewhere].map((place) => place?.sha256);
  return [...new Set(sums.filter((sum) => sum !== undefined))];
}

async function download(url: string, path: string): Promise<void> {
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
      hint: 'give a local tarball or tree with --source',
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
