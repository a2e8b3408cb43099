import { UserError } from '../base/errors.js';

/** The value of an option that is a whole number within bounds, both included. */
export function wholeNumber(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new UserError(`${option} ${text} is not a whole number from ${least} to ${most}`, { exitCode: 2 });
}
