import type { Subject } from '../subject.js';
import { nginxScenarios } from './generator.js';
import { knownOfNginx } from './known.js';
import { observeNginx } from './observe.js';
import type { NginxScenario } from './scenario.js';

export const nginx: Subject<NginxScenario> = {
  name: 'nginx',
  scenarios: nginxScenarios,
  observe: observeNginx,
  known: knownOfNginx,
};
