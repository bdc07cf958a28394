/**
 * What is mutated together, and the tests that have to find it: an area's own ones, which need no server and tell within
 * moments that something is broken. A mutant of what a module does while it is loaded cannot be told apart by test:
 * all tests of the area run for each of those. Where that takes too long, they are left out (`ignoreStatic`).
 */
module.exports = {
  domain: { mutate: ['src/domain/**/*.ts'], tests: ['domain/*'] },
  application: { mutate: ['src/application/**/*.ts'], tests: ['application/*'] },
  messaging: { mutate: ['src/messaging/**/*.ts'], tests: ['messaging/*'] },
  http: { mutate: ['src/http/**/*.ts'], tests: ['http/!(composed)'], ignoreStatic: true },
  config: { mutate: ['src/config/**/*.ts'], tests: ['config/*'] },
  lifecycle: { mutate: ['src/wiring/lifecycle.ts'], tests: ['wiring/lifecycle'] },
};
