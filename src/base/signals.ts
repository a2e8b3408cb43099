const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Work that is told of an interrupt and then ends by itself, so that what it started is ended and what it made is
 * removed. After that the process dies of the signal, as whoever sent it expects.
 *
 * @param afterwards what to tell the user whose work was cut short
 */
export async function untilInterrupted(
  work: (signal: AbortSignal) => Promise<void>,
  afterwards: () => string,
): Promise<void> {
  const controller = new AbortController();
  const abort = (name: NodeJS.Signals) => controller.abort(name);
  for (const name of names) process.on(name, abort);
  try {
    await work(controller.signal);
  } catch (error) {
    if (!controller.signal.aborted) throw error;
  } finally {
    for (const name of names) process.off(name, abort);
  }
  if (!controller.signal.aborted) return;
  console.error(`megapipe: interrupted; ${afterwards()}`);
  await dieOf(controller.signal.reason);
}

/** End as a process that nobody told what to do at this signal. */
export function dieOf(name: NodeJS.Signals): Promise<never> {
  process.kill(process.pid, name);
  // The signal is delivered to this process only after a turn of the event loop.
  return new Promise(() => setInterval(() => undefined, 1000));
}
