/** An expected failure: bad input, or something missing. Printed as `megapipe: what; what to do`, without a stack. */
export class UserError extends Error {
  override readonly name = 'UserError';
  readonly hint: string | undefined;
  /** 1: it could not be done here; 2: it was asked for wrongly. */
  readonly exitCode: 1 | 2;

  constructor(what: string, options: { hint?: string; exitCode?: 1 | 2; cause?: unknown } = {}) {
    super(what, { cause: options.cause });
    this.hint = options.hint;
    this.exitCode = options.exitCode ?? 1;
  }
}
