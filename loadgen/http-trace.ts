import { UserError } from '../src/base/errors.js';
import type { Item } from './http-item.js';

/** A connection's requests, in order. */
export type TraceConnection = Item[];

/** What was read of a file: connections, or paths alone, for connections made by --requests-per-connection. */
export type Trace = { connections: TraceConnection[] } | { items: Item[] };

const columns = ['connection', 'method', 'path', 'status', 'length', 'crc32'] as const;
type Column = (typeof columns)[number];
type Row = Partial<Record<Column, string>>;

const checks: Record<Column, [RegExp, string]> = {
  connection: [/^\S+$/, 'a name without blanks'],
  method: [/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'a method like GET'],
  path: [/^\/[!-~]*$/, 'a path without blanks, like /index.html'],
  status: [/^[1-5]\d\d$/, 'a status from 100 to 599'],
  length: [/^\d{1,9}$/, 'a number of bytes below 1,000,000,000'],
  crc32: [/^[0-9a-fA-F]{8}$/, 'eight hexadecimal digits'],
};

function wrong(line: number, message: string): UserError {
  return new UserError(`--trace, line ${line}: ${message}`, {
    hint: 'see "Traces" in loadgen/README.md',
    exitCode: 2,
  });
}

function readHeader(line: string | undefined): Column[] {
  const names = (line ?? '').split(',').map((name) => name.trim());
  const unknown = names.find((name) => !columns.includes(name as Column));
  if (unknown !== undefined || !names.includes('path') || new Set(names).size < names.length) {
    throw wrong(1, `must name the columns, path and any of ${columns.join(', ')}, each once`);
  }
  return names as Column[];
}

function readRow(header: Column[], text: string, line: number): Row {
  const cells = text.split(',').map((cell) => cell.trim());
  if (cells.length !== header.length) {
    throw wrong(line, `has ${cells.length} columns, not ${header.length}`);
  }
  return Object.fromEntries(
    header.flatMap((column, i) => {
      const cell = cells[i] ?? '';
      const [form, what] = checks[column];
      if (form.test(cell)) return [[column, cell]];
      if (cell === '' && column !== 'path' && column !== 'connection') return [];
      throw wrong(line, `${column} must be ${what}, not ${JSON.stringify(cell)}`);
    }),
  );
}

function itemOf({ path = '/', method, status, length, crc32 }: Row, usual: Item): Item {
  return {
    path,
    method: method ?? usual.method,
    expect: {
      ...usual.expect,
      ...(status === undefined ? {} : { status: Number(status) }),
      ...(length === undefined ? {} : { length: Number(length) }),
      ...(crc32 === undefined ? {} : { crc32: Number.parseInt(crc32, 16) }),
    },
  };
}

/** Connections by their names, in the order in which they begin. */
function groupByConnection(rows: Row[], usual: Item): TraceConnection[] {
  const connections = new Map<string, TraceConnection>();
  for (const row of rows) {
    const name = row.connection ?? '';
    const requests = connections.get(name) ?? [];
    requests.push(itemOf(row, usual));
    connections.set(name, requests);
  }
  return [...connections.values()];
}

type Line = { text: string; row: Row };

function readLines(trace: Uint8Array): { header: Column[]; lines: Line[] } {
  const all = Buffer.from(trace).toString('utf8').split(/\r?\n/);
  const header = readHeader(all[0]);
  const lines = all.flatMap((text, i) =>
    i === 0 || text.trim() === '' || text.startsWith('#')
      ? []
      : [{ text, row: readRow(header, text, i + 1) }],
  );
  if (lines.length === 0) throw wrong(all.length, 'there are no requests');
  return { header, lines };
}

/**
 * Read a trace: comma-separated lines, the first names the columns.
 *
 * @param usual what a line doesn't say
 */
export function readTrace(trace: Uint8Array, usual: Item): Trace {
  const { header, lines } = readLines(trace);
  const rows = lines.map(({ row }) => row);
  if (!header.includes('connection')) return { items: rows.map((row) => itemOf(row, usual)) };
  return { connections: groupByConnection(rows, usual) };
}

/**
 * The trace of each of so many machines: every connection goes to one of them, in turn. Where the trace has no
 * connections all of them walk it.
 */
export function shareTrace(trace: Uint8Array, parts: number): Uint8Array[] {
  const { header, lines } = readLines(trace);
  if (!header.includes('connection')) return Array.from({ length: parts }, () => trace);
  const numbers = new Map<string, number>();
  const shares = Array.from({ length: parts }, () => [header.join(',')]);
  for (const { text, row } of lines) {
    const name = row.connection ?? '';
    const number = numbers.get(name) ?? numbers.size;
    numbers.set(name, number);
    shares[number % parts]?.push(text);
  }
  if (numbers.size < parts) {
    const message = `--trace has ${numbers.size} connections, which can't be shared by ${parts} agents`;
    throw new UserError(message, { hint: 'take fewer agents', exitCode: 2 });
  }
  return shares.map((texts) => Buffer.from(`${texts.join('\n')}\n`));
}
