import areas from './areas.js';

const area = process.env.MUTATE_AREA;
const { mutate, ignoreStatic = false } = areas[area];

/** @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  mutate,
  ignoreStatic,
  testRunner: 'jest',
  jest: { projectType: 'custom', configFile: 'test/mutation/jest.config.js' },
  coverageAnalysis: 'perTest',
  checkers: ['typescript'],
  tsconfigFile: 'tsconfig.json',
  concurrency: 2,
  // A machine that is busy must not make a mutant look as if it did not end.
  timeoutMS: 20_000,
  thresholds: { high: 95, low: 90, break: 85 },
  reporters: ['clear-text', 'progress-append-only', 'html', 'json'],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false, skipFull: true },
  htmlReporter: { fileName: `mutation-report/${area}.html` },
  jsonReporter: { fileName: `mutation-report/${area}.json` },
  tempDirName: 'mutation-report/sandbox',
  ignorePatterns: ['/helm', '/docs', '/scripts', '/test/chaos', '/test/cluster', '/test/simulation'],
};
