const { relative } = require('node:path');

/** Jest reporter of the very last lines: what was skipped for want of a server and why, then the plain counts. */
module.exports = class SkippedReporter {
  constructor(globalConfig) {
    // `--json` owns the standard output.
    this.output = globalConfig.json ? process.stderr : process.stdout;
  }

  onRunComplete(_contexts, results) {
    const lines = [...skippedByReason(results)].flatMap(([reason, blocks]) => [
      `skipped, ${tests(sum(blocks.values()))}: ${reason}`,
      ...[...blocks].map(([block, count]) => `  ${block} (${tests(count)})`),
    ]);
    lines.push(counts(results));
    // Jest's own summary, and what it says of open handles, still come.
    process.once('exit', () => this.output.write(`${lines.join('\n')}\n`));
  }
};

/** By reason, how many tests of which block of which file. */
function skippedByReason({ testResults }) {
  const byReason = new Map();
  for (const { testFilePath, testResults: tests } of testResults) {
    for (const { ancestorTitles, status } of tests) {
      // The mark that describeWith leaves.
      const [, title, reason] = /^(.*?) \[skipped: (.+?)\](?: |$)/.exec(ancestorTitles.join(' ')) ?? [];
      if (status !== 'pending' || !reason) continue;
      const blocks = byReason.get(reason) ?? new Map();
      const block = `${relative(process.cwd(), testFilePath)}: ${title}`;
      byReason.set(reason, blocks.set(block, (blocks.get(block) ?? 0) + 1));
    }
  }
  return byReason;
}

function tests(count) {
  return `${count} ${count === 1 ? 'test' : 'tests'}`;
}

function sum(numbers) {
  return [...numbers].reduce((total, n) => total + n, 0);
}

function counts(results) {
  // A file that could not even be loaded has no tests to count, yet it failed.
  const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
  const skipped = results.numPendingTests + results.numTodoTests;
  return `${results.numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
