const SAMPLE = /^(\w+)(?:\{(.*)\})? (\S+)$/;

/** The sum of the metric's series whose labels match. Throws where the text is not what Prometheus reads. */
export function sumOfSeries(text: string, name: string, labels = /.*/): number {
  let sum = 0;
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# ')) continue;
    const [, sample, labelled = '', value] = SAMPLE.exec(line) ?? [];
    if (sample === undefined || (value !== 'Nan' && Number.isNaN(Number(value))))
      throw new Error(`no sample: ${line}`);
    if (sample === name && labels.test(labelled)) sum += Number(value);
  }
  return sum;
}
