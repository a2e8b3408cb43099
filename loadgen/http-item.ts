/** What an answer must be; what is missing may be anything. */
export type Expectation = {
  status?: number;
  length?: number;
  crc32?: number;
  /** Content of a file set: where in the pattern it starts. */
  patternStart?: number;
};

/** A request that may be sent. */
export type Item = { method: string; path: string; expect: Expectation };
