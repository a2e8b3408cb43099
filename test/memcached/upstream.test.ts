import { loadPort } from '../../src/port/port.js';
import { testedVersion } from './server.js';
import { describeUpstream, onEngines } from './upstream.js';

describeUpstream({ port: loadPort('memcached', testedVersion), forms: onEngines() });
