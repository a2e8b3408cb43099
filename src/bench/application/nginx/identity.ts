import { readFileSync } from 'node:fs';
import type { Complaints, Identity, ServerFolders } from '../application.js';
import { channelsIn } from '../channel-words.js';
import { errorLog } from './config.js';

/** What nginx wrote in its log of errors and notices: which event method runs, and on which engine. */
export function identify(log: string): Identity {
  const method = /using the "(\w+)" event method/.exec(log)?.[1];
  if (method === undefined) throw new Error('nginx did not log which event method it uses');
  if (method !== 'megapipe') return null;
  const channels = channelsIn(log);
  if (channels === undefined) throw new Error('nginx did not log which engine its channels run on');
  return channels;
}

/** The last of what nginx logged as gone wrong, on one line. */
export function complaints(log: string): Complaints {
  const troubles = log.split('\n').filter((line) => /\[(emerg|alert|crit|error|warn)\]/.test(line));
  // The master lives on when its workers could not begin, and its socket still takes connections.
  const fatal = troubles.some((line) => line.includes('[emerg]'));
  return { words: [...new Set(troubles.map(withoutTime))].slice(-3).join('; '), fatal };
}

/** Without time and process numbers: workers complain of the same. */
function withoutTime(line: string): string {
  return line.replace(/^[\d/]+ [\d:]+ /, '').replace(/ \d+#\d+:/, '');
}

/** Nothing where there is no log: nginx may have ended before it made one. */
export function readLog({ scratch }: ServerFolders): string {
  try {
    return readFileSync(errorLog(scratch), 'utf8');
  } catch {
    return '';
  }
}
