import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { UserError } from '../base/errors.js';
import { fromFormat1 } from './format-1.js';
import { fromFormat2 } from './format-2.js';
import { fromFormat3 } from './format-3.js';
import {
  type EndRecord,
  format,
  type MachineRecord,
  type ResultRecord,
  type Results,
  resultRecord,
  type SampleRecord,
  sampleKey,
  schemaOf,
} from './schema.js';

/** Append one record; what is on disk is complete after every sample, however the run ends. */
export function appendResult(file: string, record: ResultRecord): void {
  const line = `${JSON.stringify(resultRecord.parse(record))}\n`;
  writing(file, () => {
    mkdirSync(dirname(file), { recursive: true });
    appendFileSync(file, line);
  });
}

/** Write a file that the user named or will look for; what goes wrong is told by its name. */
export function writing(file: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    throw new UserError(`cannot write ${file}: ${(error as Error).message}`, { cause: error });
  }
}

/** Read and validate a results file; the error names the line that is wrong. */
export function readResults(file: string): Results[] {
  const lines = readLines(file);
  const upgrade = upgraderOf(lines[0]);
  const records = lines.map((line, index) => parseLine(file, line, index + 1, upgrade));
  if (records[0]?.type !== 'machine') {
    throw new UserError(`${file} has no machine record at its start`, {
      hint: 'give a file that megapipe bench wrote',
    });
  }
  return runsOf(records);
}

/** A machine record begins a run. */
function runsOf(records: ResultRecord[]): Results[] {
  const starts = records.flatMap((record, index) => (record.type === 'machine' ? [index] : []));
  return starts.map((start, run) => {
    const own = records.slice(start, starts[run + 1]);
    return {
      machine: own[0] as MachineRecord,
      skips: own.filter((record) => record.type === 'skip'),
      ...countingApart(own.filter((record) => record.type === 'sample')),
      end: lastEnd(own),
      resumed: own.filter((record) => record.type === 'resume').length,
    };
  });
}

/** Of each sample's attempts the last one counts. */
function countingApart(all: SampleRecord[]): Pick<Results, 'samples' | 'retaken'> {
  const counting = new Set(new Map(all.map((sample) => [sampleKey(sample), sample])).values());
  return {
    samples: all.filter((sample) => counting.has(sample)),
    retaken: all.filter((sample) => !counting.has(sample)),
  };
}

/** Of a run that was taken up again only an end after that is one. */
function lastEnd(own: ResultRecord[]): EndRecord | undefined {
  return own
    .slice(own.findLastIndex(({ type }) => type === 'resume') + 1)
    .find((record) => record.type === 'end');
}

type Upgrade = (record: unknown) => unknown;

/** What brings the records of a file to today's format, judged by its first line; what is wrong with that is told later. */
function upgraderOf(first: string | undefined): Upgrade {
  try {
    const parsed: unknown = JSON.parse(first ?? '');
    const head = z
      .looseObject({ type: z.literal('machine'), format: z.literal([1, 2, 3]) })
      .safeParse(parsed);
    if (!head.success) return (record) => record;
    const all: Upgrade[] = [fromFormat1(head.data), fromFormat2(), fromFormat3];
    const needed = all.slice(head.data.format - 1);
    return (record) => needed.reduce((upgraded, upgrade) => upgrade(upgraded), record);
  } catch {
    return (record) => record;
  }
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  } catch (error) {
    throw new UserError(`cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
}

function parseLine(file: string, line: string, number: number, upgrade: Upgrade): ResultRecord {
  try {
    const record = upgrade(JSON.parse(line));
    refuseNewer(record);
    return schemaOf(record).parse(record);
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    throw new UserError(`${file}, line ${number}, is not a result record: ${why}`, { cause: error });
  }
}

function refuseNewer(record: unknown): void {
  const head = z.looseObject({ type: z.literal('machine'), format: z.number() }).safeParse(record);
  if (head.success && head.data.format !== format) {
    throw new Error(`it is of format ${head.data.format}, and this megapipe reads 1 to ${format}`);
  }
}
