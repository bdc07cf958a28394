const { testEnvironment, transform } = require('../../jest.config.js');

/**
 * The tests that need a cluster: `npm run test:cluster`.
 * @type {import('jest').Config}
 */
module.exports = {
  rootDir: '../..',
  testEnvironment,
  transform,
  roots: ['<rootDir>/test/cluster'],
  testMatch: ['<rootDir>/test/cluster/*.test.ts'],
  reporters: [
    'default',
    '<rootDir>/test/cluster/progress-reporter.js',
    '<rootDir>/test/support/skipped-reporter.js',
  ],
  testTimeout: 240_000,
  // One cluster, one namespace: one after the other.
  maxWorkers: 1,
};
