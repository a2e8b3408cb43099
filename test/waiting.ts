/** Let time go by. */
export const pause = (milliseconds: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

/**
 * Wait for what must come true in a while. The limit only ends a test that hangs: nothing here is about time.
 *
 * @param what is awaited, for the error
 */
export async function until(what: string, condition: () => boolean | Promise<boolean>, seconds = 120) {
  const end = Date.now() + seconds * 1000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`this never came true: ${what}`);
    await pause(20);
  }
}

/**
 * Try until it doesn't throw.
 *
 * @param stillMay throws where trying on is in vain
 */
export async function untilDone<T>(
  attempt: () => T | Promise<T>,
  stillMay: () => void | Promise<void> = () => {},
  seconds = 120,
): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      await stillMay();
      if (Date.now() > end) throw error;
      await pause(20);
    }
  }
}
