import { event } from '../load.js';
import { type Progress, silent } from '../progress.js';
import { isOver, type Part, type Parts } from './parts.js';
import { mergeIntervals } from './series.js';

/** Tell of a load while it goes on: one line of all agents, who is lost, and, as events, the window's two ends. */
export function showParts(parts: Parts, progress: Progress, events: boolean): void {
  const told = { begun: false, ended: false };
  const tell = (name: 'measuring' | 'measured') => {
    if (events) event(name, { monotonicNs: Number(process.hrtime.bigint()), wallMs: Date.now() });
  };
  parts.onChange((part, report) => {
    if (part.state === 'missing') {
      progress.done();
      console.error(`megapipe: agent ${part.agent.name} is lost: ${part.loss?.message}`);
    }
    if (!told.begun && report?.kind === 'begun') {
      told.begun = true;
      tell('measuring');
    }
    if (told.begun && !told.ended && parts.all.every(hasMeasured)) {
      told.ended = true;
      tell('measured');
    }
    if (report?.kind === 'interval' && progress !== silent) showInterval(parts.all, progress);
  });
}

const hasMeasured = (part: Part) => part.state === 'ended' || isOver(part);

function showInterval(all: Part[], progress: Progress): void {
  const latest = all.filter((part) => !isOver(part)).flatMap(({ intervals }) => intervals.slice(-1));
  const [first] = latest;
  if (first) progress.interval(mergeIntervals(latest), first.phase);
}
