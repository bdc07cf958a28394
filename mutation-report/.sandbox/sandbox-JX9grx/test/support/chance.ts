/** Seeded chance (mulberry32): the same seed draws the same faults. */
export type Chance = ReturnType<typeof createChance>;

export function createChance(seed: number) {
  let state = seed >>> 0;

  function random(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  const between = (least: number, most: number): number => least + random() * (most - least);

  return {
    random,
    between,
    happens: (probability: number): boolean => random() < probability,
    pick: <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!,
    /** One of the choices, each as likely as its weight says. */
    weighted<T extends { readonly weight: number }>(choices: readonly T[]): T {
      let left = random() * choices.reduce((sum, { weight }) => sum + weight, 0);
      return choices.find(({ weight }) => (left -= weight) < 0) ?? choices.at(-1)!;
    },
    /** Chance of its own for one part, so that parts do not disturb each other's draws. */
    fork: () => createChance(Math.floor(random() * 2 ** 32)),
  };
}
