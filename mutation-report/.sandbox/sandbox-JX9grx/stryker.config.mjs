/** @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  mutate: [
    'src/{domain,application,messaging,http}/**/*.ts',
    'src/{config,lifecycle}.ts',
    'src/config/**/*.ts',
  ],
  testRunner: 'jest',
  jest: { projectType: 'custom', configFile: 'jest.mutation.config.js' },
  coverageAnalysis: 'perTest',
  ignoreStatic: true,
  concurrency: 2,
  disableTypeChecks: false,
  thresholds: { high: 95, low: 85, break: 85 },
  reporters: ['clear-text', 'html', 'json'],
  htmlReporter: { fileName: 'mutation-report/index.html' },
  jsonReporter: { fileName: 'mutation-report/report.json' },
  tempDirName: 'mutation-report/.sandbox',
  ignorePatterns: ['/helm', '/docs', '/dist', '/test/chaos', '/test/cluster', '/test/simulation'],
  clearTextReporter: { logTests: false, reportTests: false },
};
