/** What no kernel says when all is well. */
const complaints = [
  /\bBUG: /,
  /\bBUG at /,
  /\bWARNING: /,
  /\bOops: /,
  /\bKernel panic\b/,
  /\bgeneral protection fault\b/,
  /\bstack segment\b/,
  /\bUBSAN: /,
  /\bINFO: .*(detected|stall|hung|blocked|trying to register|possible|inconsistent)/,
  /\bkmemleak: [1-9]\d* new suspected memory leaks/,
  /\bunreferenced object\b/,
  /\bblocked for more than\b/,
  /\bObjects remaining\b/,
  /\bstill has objects\b/,
  /\bODEBUG: /,
  /\brefcount_t: /,
  /\blist_(add|del) corruption\b/,
  /\bBad page state\b/,
  /\bnobody cared\b/,
  /\bCall Trace:/,
];

/** Lines that look like complaints and are none: what a kernel may say of every machine. */
const harmless = [/WARNING: Unprivileged eBPF is enabled/, /Spectre V2 : WARNING/];

/** The lines of a kernel's log that say that something is wrong. */
export function complaintsIn(log: string): string[] {
  return log
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => complaints.some((pattern) => pattern.test(line)))
    .filter((line) => !harmless.some((pattern) => pattern.test(line)));
}

/** The last lines of a log, indented for an error's text. */
export function tailOf(log: string, lines = 25): string {
  return shown(log.trimEnd().split('\n').slice(-lines));
}

/** Lines of a log, indented for an error's text. */
export function shown(lines: string[]): string {
  return lines.map((line) => `    ${line.trimEnd()}\n`).join('');
}
