import { loadPort } from '../../src/port/port.js';
import { testUnless } from '../skip.js';
import { build, missing, version } from './old-version.js';
import { describeUpstream, onEngines } from './upstream.js';

if (missing === undefined) {
  // What the tests are is known when it is built.
  await build();
  describeUpstream({
    port: loadPort('memcached', version),
    forms: [...onEngines(), ...onEngines(',fine_grained_locks', ['slabs_reassign.t'])],
  });
} else {
  testUnless(missing)(`memcached ${version}: its own tests`, () => {});
}
