const { testEnvironment, transform, globalSetup } = require('../../jest.config.js');

/**
 * The campaign of real processes, as tests: `npm run test:chaos`.
 * @type {import('jest').Config}
 */
module.exports = {
  rootDir: '../..',
  testEnvironment,
  transform,
  globalSetup,
  roots: ['<rootDir>/test/chaos'],
  testMatch: ['<rootDir>/test/chaos/campaign.test.ts'],
  reporters: ['default', '<rootDir>/test/support/skipped-reporter.js'],
  // One campaign has the machine to itself.
  maxWorkers: 1,
};
