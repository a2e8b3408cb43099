import { EventEmitter } from 'node:events';
import type { ClockReading } from './clock.js';
import type { Hello, Report, TimedInterval } from './protocol.js';

type Result = Extract<Report, { kind: 'result' }>;

/** Why a part is missing. */
export type Loss = { message: string; hint?: string | undefined; exitCode: 1 | 2 };

/** An agent that was found, and its clock; when that was read, by performance.now(). */
export type Member = { agent: Hello; clock: ClockReading; clockReadAt: number };

/** An agent's part of a load, as the conductor sees it. */
export type Part = Member & {
  state: 'preparing' | 'ready' | 'begun' | 'ended' | 'done' | 'missing';
  loss: Loss | undefined;
  lateMs: number | undefined;
  intervals: TimedInterval[];
  result: Result | undefined;
};

/** Whether nothing more is to come. */
export const isOver = ({ state }: Part) => state === 'done' || state === 'missing';

/** All parts of a load, and what becomes of them. */
export type Parts = {
  all: Part[];
  hear(report: Report): void;
  lose(part: Part, loss: Loss): void;
  /** Called after each change of a part. */
  onChange(listener: (part: Part, report?: Report) => void): void;
  /** Until that is true of the parts. Somebody must see to it that it will be. */
  until(condition: (all: Part[]) => boolean): Promise<void>;
};

/** The parts of a load that has not begun. */
export function makeParts(members: Member[]): Parts {
  const all = members.map((member): Part => {
    const nothing = { loss: undefined, lateMs: undefined, result: undefined };
    return { ...member, state: 'preparing', intervals: [], ...nothing };
  });
  const changes = new EventEmitter().setMaxListeners(0);
  const lose = (part: Part, loss: Loss) => {
    if (isOver(part)) return;
    Object.assign(part, { state: 'missing', loss });
    changes.emit('change', part);
  };
  return {
    all,
    lose,
    hear(report) {
      const part = all.find(({ agent }) => agent.id === report.id);
      if (!part || isOver(part)) return;
      if (report.kind === 'failed') return lose(part, report);
      take(part, report);
      changes.emit('change', part, report);
    },
    onChange: (listener) => void changes.on('change', listener),
    until: (condition) =>
      new Promise((resolve) => {
        const look = () => {
          if (!condition(all)) return;
          changes.off('change', look);
          resolve();
        };
        changes.on('change', look);
        look();
      }),
  };
}

const stateAfter = { ready: 'ready', begun: 'begun', ended: 'ended', result: 'done' } as const;

function take(part: Part, report: Exclude<Report, { kind: 'failed' }>): void {
  if (report.kind === 'interval') part.intervals.push(report);
  else if (report.kind === 'started') part.lateMs = report.lateMs;
  else part.state = stateAfter[report.kind];
  if (report.kind === 'result') part.result = report;
}
