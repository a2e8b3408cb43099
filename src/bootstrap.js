#!/usr/bin/env node
// @ts-check
// The way in from a fresh clone: plain JavaScript, no dependencies. Makes sure of Node's version, the npm packages and
// the compiled TypeScript, then becomes the command line in dist/.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const compiled = join(root, 'dist/src/cli.js');
const compiledStamp = join(root, 'dist/.compiled');

/** @param {string} what @returns {never} */
function fail(what) {
  console.error(`megapipe: ${what}`);
  process.exit(1);
}

/** make takes a blank for the end of a name, and says so in pages. */
function checkFolder() {
  if (!/\s/.test(root)) return;
  fail(
    `there is a blank in the name of the folder "${root}", and make can build in none; move it to one without`,
  );
}

function checkNode() {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [needMajor, needMinor] = engines.node.replace('>=', '').split('.').map(Number);
  if (major > needMajor || (major === needMajor && minor >= needMinor)) return;
  fail(
    `this is Node.js ${process.versions.node}, but ${engines.node} is needed; install a newer Node.js and try again`,
  );
}

/** @param {string} lockfile @returns {Record<string, { version?: string, optional?: boolean }>} */
function packagesIn(lockfile) {
  return existsSync(lockfile) ? JSON.parse(readFileSync(lockfile, 'utf8')).packages : {};
}

/** npm keeps beside what it installed a lock file that says what that is. */
function packagesAreInstalled() {
  const wanted = packagesIn(join(root, 'package-lock.json'));
  const installed = packagesIn(join(root, 'node_modules/.package-lock.json'));
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === '' || optional || installed[path]?.version === version,
  );
}

/** @param {string} what @param {string} file @param {string[]} args */
function run(what, file, args) {
  console.error(`megapipe: ${what}`);
  const { status, error } = spawnSync(file, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (error) fail(`cannot run ${file}: ${error.message}; install it and try again`);
  if (status !== 0) fail(`${[file, ...args].join(' ')} failed; its own words are above`);
}

/** @returns {number} when a source last changed, in milliseconds */
function sourcesChanged() {
  const sources = ['src', 'loadgen'].flatMap((folder) => {
    const path = join(root, folder);
    if (!existsSync(path)) return [];
    const names = readdirSync(path, { recursive: true, encoding: 'utf8' });
    return names.filter((name) => name.endsWith('.ts')).map((name) => join(path, name));
  });
  const settings = ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json'].map((name) =>
    join(root, name),
  );
  return Math.max(...[...sources, ...settings].map((file) => statSync(file).mtimeMs));
}

function compile() {
  if (existsSync(compiledStamp) && statSync(compiledStamp).mtimeMs >= sourcesChanged()) return;
  const started = new Date().toISOString();
  run('compiling TypeScript', process.execPath, [
    join(root, 'node_modules/typescript/bin/tsc'),
    '-p',
    join(root, 'tsconfig.build.json'),
  ]);
  writeFileSync(compiledStamp, `${started}\n`);
}

checkNode();
checkFolder();
if (!packagesAreInstalled()) run('installing the npm packages', 'npm', ['ci', '--loglevel=error']);
compile();
await import(pathToFileURL(compiled).href);
