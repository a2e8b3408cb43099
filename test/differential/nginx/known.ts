import type { Known } from '../subject.js';
import type { NginxScenario } from './scenario.js';

export const knownOfNginx: Known<NginxScenario>[] = [
  {
    // The library listens on a duplicate, so that a descriptor that the application closes ends no accept of others.
    reason: 'a listener that a reload has added holds a second descriptor in each worker',
    is: ({ fact, engine }, { workers, life }) =>
      fact === 'descriptors held afterwards' &&
      life.some((step) => step.do === 'reload' && Number(engine) <= workers * (2 * step.listeners + 8)),
  },
];
