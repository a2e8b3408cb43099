import { loadPort } from '../../src/port/port.js';
import { describeUpstream, onEngines } from './upstream.js';

describeUpstream({ port: loadPort('memcached'), forms: onEngines() });
