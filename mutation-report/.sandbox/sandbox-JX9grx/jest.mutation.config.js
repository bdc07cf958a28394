const { testEnvironment, transform, moduleNameMapper } = require('./jest.config.js');

/**
 * The tests that mutants are tried on: `npm run mutate`. Only those that need no server, and tell within moments that
 * something is broken: for each of some thousand mutants, those that reach it run again.
 * @type {import('jest').Config}
 */
module.exports = {
  testEnvironment,
  transform,
  moduleNameMapper,
  setupFiles: ['<rootDir>/test/support/mutation-setup.js'],
  roots: ['<rootDir>/src', '<rootDir>/test'],
  testMatch: ['<rootDir>/test/{domain,application,messaging,http,observability}/*.test.ts', '<rootDir>/test/*.test.ts'],
  testPathIgnorePatterns: ['<rootDir>/test/http/composed.test.ts', '<rootDir>/test/architecture.test.ts'],
};
