const { availableParallelism } = require('node:os');

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/src', '<rootDir>/test'],
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  // Those have configurations of their own, beside them.
  testPathIgnorePatterns: ['<rootDir>/test/cluster/', '<rootDir>/test/chaos/campaign.test.ts'],
  transform: {
    '\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, sourceMaps: 'inline' },
    ],
  },
  // wiring/ loads adapters and the demo by import(), which asks for the extension of what is built.
  moduleNameMapper: { '^(\\.\\./(?:adapters|demo)/.+)\\.js$': '$1' },
  globalSetup: '<rootDir>/test/support/find-servers.ts',
  reporters: ['default', '<rootDir>/test/support/skipped-reporter.js'],
  // Of `npm run coverage`. What the tests run as a process of its own does not count.
  collectCoverageFrom: ['src/**/*.ts'],
  coverageThreshold: { global: { statements: 88, branches: 85, functions: 87, lines: 89 } },
  testTimeout: 30_000,
  // Tests wait for servers more than they compute, and each server they start takes a share of the machine.
  maxWorkers: Math.min(4, Math.max(2, availableParallelism() - 1)),
};
