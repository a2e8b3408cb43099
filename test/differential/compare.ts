import { type Fact, type Observation, show, showBytes } from './observation.js';

/** A fact in which a server differs from stock. */
export type Difference = { fact: string; stock: string; engine: string };

/*
 * Machines that run this are busy with other things. Stock's own time is the measure, and what is late by less than this
 * says nothing.
 */
const lateMs = 2_000;
const earlyMs = 800;
const timeFactor = 0.5;

function sameTime(stock: number, engine: number): boolean {
  const late = engine - stock;
  return late <= lateMs + stock * timeFactor && -late <= earlyMs + stock * timeFactor;
}

const isByServer = ({ end }: Fact & { by: 'end' }) => end === 'closed' || end === 'reset';

/** One that is open when its client stops waiting may have been closed a moment later: that is told by the time. */
function sameEnd(stock: Fact & { by: 'end' }, engine: Fact & { by: 'end' }): boolean {
  const isSame = stock.end === engine.end;
  if (isSame && !isByServer(stock)) return true;
  const isOneOpen = stock.end === 'open' ? isByServer(engine) : engine.end === 'open' && isByServer(stock);
  return (isSame || isOneOpen) && sameTime(stock.ms, engine.ms);
}

function sameBytes(stock: Fact & { by: 'bytes' }, engine: Fact & { by: 'bytes' }): boolean {
  if (!stock.isCut || !engine.isCut) return stock.bytes.equals(engine.bytes);
  const length = Math.min(stock.bytes.length, engine.bytes.length);
  return stock.bytes.subarray(0, length).equals(engine.bytes.subarray(0, length));
}

/** What was counted nowhere was counted 0 times. */
const isNearlyNothing = (fact: Fact | undefined) =>
  fact === undefined || (fact.by === 'count' && fact.count <= fact.slack);

/** Whether an engine is as good as stock in a fact. */
function isSame(stock: Fact | undefined, engine: Fact | undefined): boolean {
  if (!stock || !engine) return isNearlyNothing(stock) && isNearlyNothing(engine);
  if (stock.by === 'text' && engine.by === 'text') return stock.text === engine.text;
  if (stock.by === 'bytes' && engine.by === 'bytes') return sameBytes(stock, engine);
  if (stock.by === 'end' && engine.by === 'end') return sameEnd(stock, engine);
  if (stock.by === 'time' && engine.by === 'time') return sameTime(stock.ms, engine.ms);
  if (stock.by === 'count' && engine.by === 'count')
    return Math.abs(stock.count - engine.count) <= Math.max(stock.slack, engine.slack);
  if (stock.by === 'amount' && engine.by === 'amount')
    return engine.amount <= stock.amount * stock.factor + stock.slack;
  return false;
}

/** Both, to be read by a person: of long answers where they begin to differ. */
function showBoth(stock: Fact | undefined, engine: Fact | undefined): { stock: string; engine: string } {
  if (stock?.by !== 'bytes' || engine?.by !== 'bytes') return { stock: show(stock), engine: show(engine) };
  const length = Math.min(stock.bytes.length, engine.bytes.length);
  let same = 0;
  while (same < length && stock.bytes[same] === engine.bytes[same]) same += 1;
  return { stock: showBytes(stock.bytes, same), engine: showBytes(engine.bytes, same) };
}

/** What lies between two counts that were seen can be seen, too: the ranges of both sides must be apart. */
function areApart(stock: (Fact | undefined)[], engine: (Fact | undefined)[]): boolean {
  const [countsOfStock, countsOfEngine] = [stock.map(countOf), engine.map(countOf)];
  const slack = Math.max(...[...stock, ...engine].map((fact) => (fact?.by === 'count' ? fact.slack : 0)));
  return (
    Math.min(...countsOfEngine) > Math.max(...countsOfStock) + slack ||
    Math.max(...countsOfEngine) < Math.min(...countsOfStock) - slack
  );
}

const countOf = (fact: Fact | undefined) => (fact?.by === 'count' ? fact.count : 0);

const isCount = (fact: Fact | undefined) => fact === undefined || fact.by === 'count';

/** Whether nothing that was seen of an engine in a fact was seen of stock. */
function differs(stock: (Fact | undefined)[], engine: (Fact | undefined)[]): boolean {
  if ([...stock, ...engine].every(isCount)) return areApart(stock, engine);
  return engine.every((own) => !stock.some((one) => isSame(one, own)));
}

/** In what all that was seen of an engine differs from all that was seen of stock. */
export function differences(stock: Observation[], engine: Observation[]): Difference[] {
  const names = new Set([...stock, ...engine].flatMap((seen) => [...seen.keys()]));
  return [...names].flatMap((fact) => {
    const of = (side: Observation[]) => side.map((seen) => seen.get(fact));
    return differs(of(stock), of(engine)) ? [{ fact, ...showBoth(of(stock)[0], of(engine)[0]) }] : [];
  });
}
