import type { Verdict } from '../statistics/decide.js';
import { beyondReach } from './caveats.js';
import { formatRatio, rangeWords } from './format.js';
import { type Answer, type HeadlinePoint, headlinePoints, type Reported } from './headline.js';
import { headlineSentence, openSentences } from './headline-words.js';
import { wordsAmong } from './points.js';
import { trustWords } from './trust.js';

/** The terminal's last lines: what was found, what was not, and how far to believe it. Fits a screen of 25 lines. */
export function formatAnswer(runs: Reported[]): string {
  const all = headlinePoints(runs);
  const results = runs.map((run) => run.results);
  return [
    headlineSentence(all),
    '',
    ...table(all),
    ...openLines(openSentences(all, results)),
    ...shortened(trustWords(results), mostTrust).map((words) => `trust:        ${words}`),
    ...beyondReach(runs)
      .slice(0, 1)
      .map((words) => `cannot say:   ${words}`),
  ].join('\n');
}

const mostPoints = 12;

function table(all: HeadlinePoint[]): string[] {
  if (all.length === 0) return [];
  const rows = all.map(({ application, point, points, answers }) => [
    application,
    wordsAmong(point, points),
    answerWords(answers.serverCpuUs),
    answerWords(answers.throughput),
  ]);
  const left = rows.length - mostPoints;
  const lines = aligned([
    ['application', 'point', 'CPU a request', 'throughput'],
    ...rows.slice(0, left > 0 ? mostPoints - 1 : mostPoints),
  ]);
  return [...lines, ...(left > 0 ? [`and ${left + 1} points more, in the page`] : []), ''];
}

const verdictSigns: Record<Verdict, string> = {
  better: 'better',
  worse: 'WORSE',
  same: 'same',
  open: 'open',
};

function answerWords({ verdict, interval }: Answer): string {
  if (!interval) return verdictSigns[verdict];
  return `${verdictSigns[verdict].padEnd(6)} ${formatRatio(interval.ratio)} (${rangeWords(interval)})`;
}

function aligned(rows: string[][]): string[] {
  const widths = (rows[0] ?? []).map((_head, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd((widths[column] ?? 0) + 2))
      .join('')
      .trimEnd(),
  );
}

const mostOpen = 3;
const mostTrust = 4;

function openLines(sentences: string[]): string[] {
  return shortened(sentences, mostOpen).map((words) => `not decided:  ${words}`);
}

function shortened(lines: string[], most: number): string[] {
  return lines.length > most
    ? [...lines.slice(0, most - 1), `and ${lines.length - most + 1} more, in the page`]
    : lines;
}
