import { median } from 'simple-statistics';
import type { Results, TopologyRecord } from '../results/schema.js';
import type { Verdict } from '../statistics/decide.js';
import { metricNames, verdictWords } from './findings.js';
import { formatDuration, formatRatio, listOf, openWords } from './format.js';
import type { Answer, HeadlineMetric, HeadlinePoint } from './headline.js';
import { wordsAmong } from './points.js';

const verdicts: readonly Verdict[] = ['better', 'worse', 'same', 'open'];

/** The whole answer in a sentence: in how many points it is what, and from where to where. */
export function headlineSentence(all: HeadlinePoint[]): string {
  if (all.length === 0) return 'Nothing was compared with stock I/O.';
  const variants = listOf([...new Set(all.map(({ variant }) => variant))]);
  const clauses = (['serverCpuUs', 'throughput'] as const).map((metric) => metricClause(all, metric));
  return `${variants} against stock I/O: ${clauses.join('; ')}.`;
}

function metricClause(all: HeadlinePoint[], metric: HeadlineMetric): string {
  const name = metricNames[metric].replace(/^[ST]/, (letter) => letter.toLowerCase());
  if (all.every(({ answers }) => answers[metric].verdict === 'open')) {
    return `${name} is decided at ${all.length === 1 ? 'the one point not' : `none of ${all.length} points`}`;
  }
  const counted = verdicts.flatMap((verdict) => {
    const own = all.map(({ answers }) => answers[metric]).filter((one) => one.verdict === verdict);
    return own.length > 0 ? [{ verdict, own }] : [];
  });
  const words = counted.map(({ verdict, own }, index) => {
    const where = index > 0 ? `at ${own.length}` : atPoints(own.length, all.length);
    return `${verdictWords(verdict, metric)} ${where}${verdict === 'open' ? '' : ` (${spanWords(own)})`}`;
  });
  return `${name} is ${listOf(words)}`;
}

function atPoints(count: number, of: number): string {
  if (of === 1) return 'at the one point';
  return count === of ? `at all ${of} points` : `at ${count} of ${of} points`;
}

function spanWords(answers: Answer[]): string {
  const ratios = answers.flatMap(({ interval }) => (interval ? [interval.ratio] : []));
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)].map(formatRatio);
  return least === most ? `${least}` : `${least} to ${most}`;
}

/** What was not decided, what it could be, and what it would take to decide it. */
export function openSentences(all: HeadlinePoint[], runs: Results[]): string[] {
  return all.flatMap((one) =>
    (['serverCpuUs', 'throughput'] as const).flatMap((metric) => {
      const answer = one.answers[metric];
      if (answer.verdict !== 'open') return [];
      const run = runs.find(({ machine }) => machine.workload.application === one.application);
      const subject = `${pointName(one)}, ${metric === 'throughput' ? 'throughput' : 'CPU a request'}`;
      return [`${subject}: ${seenWords(answer)}; ${neededWords(answer, run && roundMs(run, one.topology))}`];
    }),
  );
}

/** `memcached, 10 requests a connection`. */
export const pointName = ({ application, point, points }: HeadlinePoint) =>
  `${application}, ${wordsAmong(point, points)}`;

const seenWords = ({ interval }: Answer) => (interval ? openWords(interval) : 'nothing is known');

function neededWords({ pairs, disturbed, roundsToGo }: Answer, round: number | undefined): string {
  const others = disturbed > 0 ? `others disturbed ${disturbed} of ${pairs + disturbed} rounds` : '';
  const rounds = roundsToGo === undefined ? moreThan(pairs) : roundsWords(roundsToGo, round);
  return [others, rounds].filter((words) => words !== '').join(', ');
}

const moreThan = (pairs: number) =>
  pairs === 0 ? 'no round of it counts' : 'one round tells nothing of the spread';

/** A forecast is no promise: the next rounds may be unlike those before. */
function roundsWords(rounds: number, round: number | undefined): string {
  if (!Number.isFinite(rounds)) return 'thousands of rounds more would not decide it';
  const time = round === undefined ? '' : ` (${formatDuration(rounds * round)})`;
  return `about ${rounds} ${rounds === 1 ? 'round' : 'rounds'} more${time}`;
}

/** What a round of two variants at one point takes: from a sample's beginning to the next one's. */
function roundMs({ samples }: Results, { name }: TopologyRecord): number | undefined {
  const starts = samples
    .filter(({ topology, kind }) => topology === name && kind === 'timed')
    .map(({ startedAt }) => Date.parse(startedAt));
  const gaps = starts.slice(1).map((start, index) => start - (starts[index] as number));
  return gaps.length > 0 ? 2 * median(gaps) || undefined : undefined;
}
