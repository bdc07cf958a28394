const { spawnSync } = require('node:child_process');

/** Jest reporter that names each test as soon as it is done; where it failed, with what the cluster says about it. */
module.exports = class ProgressReporter {
  onTestCaseResult(_test, { status, fullName, duration }) {
    if (status === 'passed' || status === 'failed') {
      say(`${status}, ${Math.round(duration / 1000)} s: ${fullName}`);
    }
    if (status === 'failed') diagnose();
  }
};

function diagnose() {
  show('get', 'pods', '-o', 'wide');
  show('get', 'events', '--sort-by=.lastTimestamp');
  for (const pod of kubectl('get', 'pods', '-o', 'name').trim().split('\n').filter(Boolean)) {
    show('logs', pod, '--all-containers', '--tail=30');
    show('logs', pod, '--all-containers', '--tail=30', '--previous');
  }
}

function show(...args) {
  const output = kubectl(...args);
  if (output) say(`--- kubectl ${args.join(' ')}\n${output.split('\n').slice(-60).join('\n')}`);
}

function kubectl(...args) {
  const { TEST_KUBECONFIG, TEST_NAMESPACE, PATH, HOME } = process.env;
  const options = { env: { PATH, HOME, KUBECONFIG: TEST_KUBECONFIG }, encoding: 'utf8', timeout: 20_000 };
  return spawnSync('kubectl', ['--namespace', TEST_NAMESPACE, ...args], options).stdout ?? '';
}

function say(text) {
  process.stderr.write(`${text}\n`);
}
