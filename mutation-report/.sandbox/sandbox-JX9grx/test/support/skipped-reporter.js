/** Jest reporter of the very last lines: what was skipped for want of a server and why, then the plain counts. */
module.exports = class SkippedReporter {
  constructor(globalConfig) {
    // `--json` owns the standard output.
    this.output = globalConfig.json ? process.stderr : process.stdout;
  }

  onRunComplete(_contexts, results) {
    const lines = [...countByReason(results)].map(
      ([reason, count]) => `skipped, ${count} ${count === 1 ? 'test' : 'tests'}: ${reason}`,
    );
    lines.push(counts(results));
    // Jest's own summary, and what it says of open handles, still come.
    process.once('exit', () => this.output.write(`${lines.join('\n')}\n`));
  }
};

function countByReason({ testResults }) {
  const byReason = new Map();
  for (const { ancestorTitles, status } of testResults.flatMap((file) => file.testResults)) {
    // The mark that describeWith leaves.
    const [, reason] = /\[skipped: (.+?)\](?: |$)/.exec(ancestorTitles.join(' ')) ?? [];
    if (status === 'pending' && reason) byReason.set(reason, (byReason.get(reason) ?? 0) + 1);
  }
  return byReason;
}

function counts(results) {
  // A file that could not even be loaded has no tests to count, yet it failed.
  const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
  const skipped = results.numPendingTests + results.numTodoTests;
  return `${results.numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
