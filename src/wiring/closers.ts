type Close = () => Promise<void>;

/** Closes what was opened, the last one first. Each is closed whatever becomes of the others. */
export function createClosers(onError: (error: unknown) => void) {
  const closers: Close[] = [];
  return {
    add: (close: Close): void => void closers.push(close),
    /** Never rejects. */
    async closeAll(): Promise<void> {
      for (const close of closers.splice(0).reverse()) await close().catch(onError);
    },
  };
}
