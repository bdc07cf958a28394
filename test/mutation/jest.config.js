const { testEnvironment, transform, moduleNameMapper } = require('../../jest.config.js');
const areas = require('./areas.js');

/**
 * The tests of one area, for each of its mutants those that reach it.
 * @type {import('jest').Config}
 */
module.exports = {
  rootDir: '../..',
  testEnvironment,
  transform,
  moduleNameMapper,
  roots: ['<rootDir>/src', '<rootDir>/test'],
  setupFiles: ['<rootDir>/test/mutation/setup.js'],
  testMatch: areas[process.env.MUTATE_AREA].tests.map((file) => `<rootDir>/test/${file}.test.ts`),
};
