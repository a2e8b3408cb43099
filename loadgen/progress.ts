import { clearLine, cursorTo } from 'node:readline';
import type { Snapshot } from './engine.js';
import type { Interval } from './run.js';

/** One line on the terminal that is written over again and again. */
export type Progress = {
  stage(what: string): void;
  interval(interval: Interval, phase: Snapshot['phase']): void;
  /** Remove the line. May be called again. */
  done(): void;
};

/** Progress that nobody sees. */
export const silent: Progress = { stage() {}, interval() {}, done() {} };

function describe({ rps, errors, connectionsOpen, latencyUs }: Interval, phase: string): string {
  const latency = latencyUs ? `, p50 ${latencyUs.p50.toFixed(0)} us, p99 ${latencyUs.p99.toFixed(0)} us` : '';
  const failures = errors > 0 ? `, ${errors} errors` : '';
  return `${phase}: ${Math.round(rps)} requests/s${latency}, ${connectionsOpen} connections${failures}`;
}

/** Progress on stderr, where that is a terminal and not needed for something else. */
export function startProgress(stderrIsTaken: boolean): Progress {
  const out = process.stderr;
  if (stderrIsTaken || !out.isTTY) return silent;
  const rewrite = (text: string) => {
    cursorTo(out, 0);
    clearLine(out, 0);
    out.write(out.columns > 0 ? text.slice(0, out.columns - 1) : text);
  };
  return {
    stage: rewrite,
    interval: (interval, phase) => rewrite(describe(interval, phase)),
    done: () => rewrite(''),
  };
}
