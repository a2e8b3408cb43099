/** What options hold that is more than a word, or name as a file. Other machines are sent these bytes, never a path. */
export type Content = { body?: Uint8Array; trace?: Uint8Array };

export const noContent: Content = {};

/** Of a protocol whose options are words. */
export const withoutContent = {
  content: () => noContent,
  share: (content: Content, parts: number): Content[] => Array.from({ length: parts }, () => content),
};
