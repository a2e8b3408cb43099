import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { memcached } from './memcached/subject.js';
import { nginx } from './nginx/subject.js';
import { describeFinding, differ, type Engine, trySeeds } from './search.js';
import type { Subject } from './subject.js';

const usage = `npx vite-node test/differential/run.ts nginx|memcached uring|epoll [--minutes N] [--seed N] [--count N] [--scenario FILE]`;

const subjects = { memcached, nginx } as unknown as Record<string, Subject<never>>;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    count: { type: 'string' },
    'shrink-minutes': { type: 'string', default: '5' },
    scenario: { type: 'string' },
  },
});
const [name = '', engine = ''] = positionals;
const subject = subjects[name];
if (!subject || (engine !== 'uring' && engine !== 'epoll')) {
  console.error(usage);
  process.exit(2);
}

/** Try a scenario that was printed, or changed by hand. */
async function runScenario(subject: Subject<never>, engine: Engine, file: string) {
  const scenario = JSON.parse(readFileSync(file, 'utf8')) as never;
  const found = await differ(subject, engine, scenario);
  console.log(
    found.length === 0
      ? 'no difference'
      : describeFinding(subject, engine, 0, { scenario, differences: found }),
  );
  return found.length;
}

async function runSeeds(subject: Subject<never>, engine: Engine) {
  const first = Number(values.seed ?? Date.now() % 1_000_000);
  const end = Date.now() + Number(values.minutes) * 60_000;
  const count = Number(values.count ?? Number.POSITIVE_INFINITY);
  let tried = 0;
  function* seeds() {
    for (; tried < count && Date.now() < end; tried += 1) yield first + tried;
  }
  let findings = 0;
  await trySeeds(subject, engine, seeds(), Number(values['shrink-minutes']) * 60_000, (finding) => {
    findings += 1;
    console.log(finding);
  });
  console.log(`${subject.name} on ${engine}: ${tried} seeds from ${first}, ${findings} with a difference`);
  return findings;
}

const findings = values.scenario
  ? await runScenario(subject, engine, values.scenario)
  : await runSeeds(subject, engine);
process.exit(findings > 0 ? 1 : 0);
