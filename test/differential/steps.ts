import fc from 'fast-check';
import { type Leaving, leavings } from './client.js';

/** What clients do besides asking, whatever server they ask. */
export type Step =
  | { do: 'await answers' }
  /** Until something has come. */
  | { do: 'await bytes'; count: number }
  | { do: 'pause'; ms: number }
  | { do: 'stop reading' }
  | { do: 'read slowly'; bytes: number }
  | { do: 'read on' }
  | { do: 'leave'; how: Leaving };

/** How clients of a server ask. */
export type Asking<Ask> = {
  /** All at once. */
  asking: fc.Arbitrary<Ask>;
  /** What is read slowly, or not at all. */
  slowly: fc.Arbitrary<Ask>;
  /** What never comes to its end. */
  unfinished: fc.Arbitrary<Ask>;
  /** After so many bytes of answers a client may leave. */
  bytes: number[];
};

const pause = fc.record({ do: fc.constant('pause' as const), ms: fc.constantFrom(30, 200, 600) });
const leave = fc.record({ do: fc.constant('leave' as const), how: fc.constantFrom(...leavings) });

/** Asks, and leaves before the answer has come, or within it. */
function leaving<Ask>({ asking, bytes }: Asking<Ask>): fc.Arbitrary<(Ask | Step)[]> {
  return fc
    .tuple(asking, fc.constantFrom(...bytes), fc.option(pause, { nil: undefined }), leave)
    .map(([asked, count, wait, end]) => [asked, { do: 'await bytes', count }, ...(wait ? [wait] : []), end]);
}

function slow<Ask>({ slowly }: Asking<Ask>): fc.Arbitrary<(Ask | Step)[]> {
  return fc
    .tuple(
      slowly,
      fc.oneof(
        fc.constant<Step>({ do: 'stop reading' }),
        fc.constantFrom(500, 20_000, 200_000).map((bytes): Step => ({ do: 'read slowly', bytes })),
      ),
      fc.option(fc.constantFrom(300, 1_500), { nil: undefined }),
    )
    .map(([asked, how, ms]) => [
      how,
      asked,
      ...(ms === undefined ? [] : [{ do: 'pause', ms } as const, { do: 'read on' } as const]),
      { do: 'await answers' },
    ]);
}

/** What a client does, one after the other: exchanges and pauses, and a last time that may go otherwise. */
export function clientSteps<Ask>(how: Asking<Ask>): fc.Arbitrary<(Ask | Step)[]> {
  const exchange = how.asking.map((asked): (Ask | Step)[] => [asked, { do: 'await answers' }]);
  const before = fc.oneof(
    exchange,
    pause.map((step): (Ask | Step)[] => [step]),
  );
  const last = fc.oneof(
    exchange,
    leaving(how),
    slow(how),
    how.unfinished.map((step) => [step]),
  );
  return fc.tuple(fc.array(before, { maxLength: 3 }), last).map(([first, end]) => [...first.flat(), ...end]);
}
