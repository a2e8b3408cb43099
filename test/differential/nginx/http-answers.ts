/** Where the chunked body that begins there ends; undefined while it has not. */
function endOfChunks(got: Buffer, from: number): number | undefined {
  for (let at = from; ; ) {
    const line = got.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = Number.parseInt(got.toString('latin1', at, line), 16);
    if (Number.isNaN(size)) return undefined;
    at = line + 2 + size + 2;
    if (size === 0) return at <= got.length ? at : undefined;
  }
}

/** Where the answer that begins there ends; undefined while it has not. */
function endOfAnswer(got: Buffer, from: number, isHead: boolean): number | undefined {
  const end = got.indexOf('\r\n\r\n', from);
  if (end < 0) return undefined;
  const head = got.toString('latin1', from, end);
  const body = end + 4;
  if (isHead || /^HTTP\/1\.. (?:204|304)/.test(head)) return body;
  if (/^transfer-encoding: chunked/im.test(head)) return endOfChunks(got, body);
  const length = /^content-length: (\d+)/im.exec(head)?.[1];
  if (length === undefined || got.length < body + Number(length)) return undefined;
  return body + Number(length);
}

/** Tells whether answers to all requests have come: the methods of which it is told as they are sent. */
export function answerCounter() {
  const methods: string[] = [];
  let answered = 0;
  let at = 0;
  return {
    sent: (method: string) => void methods.push(method),
    haveAllCome(got: Buffer): boolean {
      while (answered < methods.length) {
        const end = endOfAnswer(got, at, methods[answered] === 'HEAD');
        if (end === undefined) return false;
        at = end;
        answered += 1;
      }
      return true;
    },
  };
}

/** Without what differs from one run to the other by itself: dates, and where a chunk ends. The last chunk stays. */
export function normaliseAnswers(got: Buffer): Buffer {
  const text = got
    .toString('latin1')
    .replace(/\r\nDate: [^\r\n]{29}\r\n/g, '\r\nDate: (a date)\r\n')
    .replace(/\r\n[1-9a-f][0-9a-f]*\r\n/g, '');
  return Buffer.from(text, 'latin1');
}
