import Table from 'cli-table3';
import type { EchoResult } from './echo-result.js';
import type { HttpResult } from './http-result.js';
import type { LatencyUs } from './latency.js';
import type { LoadResult } from './memcached-result.js';

type Result = LoadResult | HttpResult | EchoResult;
type Row = Record<string, string[]>;

/** Where connects fail with EADDRNOTAVAIL. */
export const portAdvice =
  'ports that were closed by FIN stay taken for a minute; use --close rst, or fewer connections';

const number = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 });
const show = (value: number) => number.format(value);

function latencyRow(name: string, latency: LatencyUs | undefined): Row {
  if (!latency) return { [name]: ['nothing measured'] };
  const { p50, p90, p99, p999, max } = latency;
  return {
    [name]: [`p50 ${show(p50)}, p90 ${show(p90)}, p99 ${show(p99)}, p99.9 ${show(p999)}, max ${show(max)}`],
  };
}

/** Those errors that happened, by kind. */
export function errorsText(errors: Record<string, number>): string {
  const some = Object.entries(errors).filter(([, count]) => count > 0);
  return some.length === 0 ? 'no' : some.map(([kind, count]) => `${show(count)} ${kind}`).join(', ');
}

function latencyRows({ latencyUs, schedule }: Result): Row[] {
  if (!schedule) return [latencyRow('latency, us', latencyUs.service)];
  return [
    latencyRow('latency from the intended time, us', latencyUs.corrected),
    latencyRow('latency from sending, us', latencyUs.service),
    {
      schedule: [
        `${show(schedule.rate)}/s asked for; ${show(schedule.unsent)} requests were due and not sent`,
      ],
    },
  ];
}

/** With several steps of --rate: what was answered in each, and how late. */
function stepRows({ steps = [] }: Result): Row[] {
  const lines = steps.map(({ from, to, seconds, rps, errors, latencyUs: { corrected } }) => {
    const rate = from === to ? `${show(from)}/s` : `${show(from)} to ${show(to)}/s`;
    const late = corrected ? `p50 ${show(corrected.p50)}, p99 ${show(corrected.p99)} us` : 'nothing measured';
    const failed = errors > 0 ? `, ${show(errors)} errors` : '';
    return `${rate} for ${show(seconds)} s: ${show(rps)}/s answered, ${late}${failed}`;
  });
  return lines.length === 0 ? [] : [{ steps: [lines.join('\n')] }];
}

/** What the numbers alone don't say. */
function remarks({ serverComplaint, errors, interrupted }: Result): string[] {
  return [
    ...(interrupted ? ['interrupted: the window was shorter than it should have been'] : []),
    ...(serverComplaint ? [`the server said: ${serverComplaint}`] : []),
    ...(errors.portExhaustion > 0
      ? [`${show(errors.portExhaustion)} times no local port was free: ${portAdvice}`]
      : []),
  ];
}

/** With several machines: what each did. */
function agentRows({ agents = [] }: Result): Row[] {
  const lines = agents.map(({ name, missing, requests = 0, errors = 0, clock }) => {
    if (missing !== null) return `${name}: missing, ${missing}`;
    const offset = `clock ${clock.offsetMs < 0 ? '' : '+'}${show(clock.offsetMs)} ± ${show(clock.uncertaintyMs)} ms`;
    return `${name}: ${show(requests)} requests, ${show(errors)} errors, ${offset}`;
  });
  return lines.length === 0 ? [] : [{ agents: [lines.join('\n')] }];
}

/** Rows that every result has, around those of its protocol. */
function tableOf(result: Result, own: Row[]): string {
  const { requests, clientCpu } = result;
  const cpu = clientCpu.userSeconds + clientCpu.systemSeconds;
  // Only a terminal that shows colours has them, and only where NO_COLOR isn't set.
  const plain = process.stdout.hasColors?.() ? {} : { style: { head: [], border: [] } };
  const table = new Table({ chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' }, ...plain });
  table.push(
    { 'requests/s': [show(result.throughputRps)] },
    ...own,
    ...latencyRows(result),
    ...stepRows(result),
    { errors: [errorsText(result.errors)] },
    { 'unanswered requests': [show(requests.failed)] },
    { connections: [`${show(result.connections)} made`] },
    { traffic: [`${show(result.bytesSent / 1e6)} MB sent, ${show(result.bytesReceived / 1e6)} MB received`] },
    {
      'client CPU': [
        `${show((cpu * 1e6) / Math.max(1, requests.total))} us a request, engine ${result.engine}`,
      ],
    },
    { 'client limit': [result.clientLimitReason ?? 'none: it had time to spare'] },
    ...agentRows(result),
  );
  return [table.toString(), ...remarks(result)].join('\n');
}

/** A result of memcached as people read it. */
export function resultTable(result: LoadResult): string {
  const { requests, window } = result;
  return tableOf(result, [
    { requests: [`${show(requests.get)} get, ${show(requests.set)} set in ${show(window.seconds)} s`] },
    {
      keys: [
        `${show(requests.hits)} hits, ${show(requests.misses)} misses, ${show(requests.verified)} verified`,
      ],
    },
  ]);
}

/** A result of HTTP as people read it. */
export function httpTable(result: HttpResult): string {
  const { requests, window, statuses, latencyUs } = result;
  const codes = Object.entries(statuses).map(([status, n]) => `${status}: ${show(n)}`);
  return tableOf(result, [
    { 'kB/s': [`${show(result.throughputKBps)} received, ${show(result.bodyKBps)} of it bodies`] },
    {
      requests: [`${show(requests.total)} in ${show(window.seconds)} s, ${show(requests.verified)} verified`],
    },
    { statuses: [codes.join(', ') || 'none'] },
    latencyRow('connecting, us', latencyUs.connect),
    latencyRow('to the first byte, us', latencyUs.firstByte),
  ]);
}

/** A result of an echo server as people read it. */
export function echoTable(result: EchoResult): string {
  const { requests, window } = result;
  const counts = `${show(requests.total)} in ${show(window.seconds)} s, ${show(requests.verified)} verified`;
  return tableOf(result, [{ requests: [counts] }]);
}
