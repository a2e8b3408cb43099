import type { Subject } from '../subject.js';
import { memcachedScenarios } from './generator.js';
import { knownOfMemcached } from './known.js';
import { observeMemcached } from './observe.js';
import type { MemcachedScenario } from './scenario.js';

export const memcached: Subject<MemcachedScenario> = {
  name: 'memcached',
  scenarios: memcachedScenarios,
  observe: observeMemcached,
  known: knownOfMemcached,
};
