/** Of one Ctrl-C, the terminal sends one signal and npm forwards another: what comes this soon is the same request. */
const SAME_REQUEST_MS = 500;

/** Calls back for each time that somebody asks the process to stop, with whether that was asked before. */
export function onAskedToStop(stop: (again: boolean) => void): void {
  let first: number | undefined;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (first === undefined) {
        first = performance.now();
        stop(false);
      } else if (performance.now() - first >= SAME_REQUEST_MS) {
        stop(true);
      }
    });
  }
}
