/** Simulates the seeds that `seeds.ts` sends, until it sends no more. */
import { simulateBatch, type Range } from './seeds';

// Whoever started it hears of it too, and tells what was found until then.
process.on('SIGINT', () => {});
process.on('message', (range: Range) => {
  void simulateBatch(range).then((batch) => process.send?.(batch));
});
process.on('disconnect', () => process.exit());
