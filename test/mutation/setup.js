// A property that fails has found the mutant: looking for its smallest example would only take time.
const { configureGlobal } = require('fast-check');
const { findProgram } = require('../support/find-servers');
const { FINDINGS_VARIABLE } = require('../support/servers');

configureGlobal({ endOnFailure: true });

// Nothing is looked for that takes time to start.
const missing = { missing: 'not looked for' };
process.env[FINDINGS_VARIABLE] = JSON.stringify({
  openssl: findProgram('openssl'),
  ...Object.fromEntries(['mongod', 'nats-streaming-server'].map((server) => [server, missing])),
});
