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
  /\bINFO: /,
  /\bkmemleak: [1-9]\d* new suspected memory leak/,
  /\bunreferenced object\b/,
  /\bblocked for more than\b/,
  /\bObjects remaining\b/,
  /\bstill has objects\b/,
  /\bODEBUG: /,
  /\brefcount_t: /,
  /\blist_(add|del) corruption\b/,
  /\bBad page state\b/,
  /\bnobody cared\b/,
];

/** Lines that look like complaints and are none: what a kernel may say of every machine. */
const harmless = [/WARNING: Unprivileged eBPF is enabled/, /Spectre V2 : WARNING/];

/** What a kernel's log says is wrong: those lines, and the first with what follows it. Undefined where all is well. */
export function complaintIn(log: string): string | undefined {
  const lines = log.trimEnd().split('\n');
  const found = lines.flatMap((line, index) => (isComplaint(line) ? [index] : []));
  const [first] = found;
  if (first === undefined) return undefined;
  const all = shown(found.slice(0, 10).map((index) => lines[index] ?? ''));
  return `${all}  at first:\n${shown(lines.slice(first, first + 40))}`;
}

function isComplaint(line: string): boolean {
  return complaints.some((pattern) => pattern.test(line)) && !harmless.some((pattern) => pattern.test(line));
}

/** The last lines of a text, indented for an error's text. */
export function tailOf(text: string, lines = 25): string {
  return shown(text.trimEnd().split('\n').slice(-lines));
}

function shown(lines: string[]): string {
  return lines.map((line) => `    ${line.trimEnd()}\n`).join('');
}
