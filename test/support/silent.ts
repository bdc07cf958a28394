import type { Log } from '../../src/application/ports';

export { NO_METRICS as silentMetrics } from '../../src/wiring/no-metrics';

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
