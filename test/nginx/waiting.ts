/** Let time go by. */
export const pause = (milliseconds: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

/**
 * Wait for what must come true in a while. The limit only ends a test that hangs.
 *
 * @param what is awaited, for the error
 */
export async function until(what: string, condition: () => boolean | Promise<boolean>, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`this never came true: ${what}`);
    await pause(20);
  }
}
