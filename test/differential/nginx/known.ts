import type { Known } from '../subject.js';
import type { NginxScenario } from './scenario.js';

export const knownOfNginx: Known<NginxScenario>[] = [];
