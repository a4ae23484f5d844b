/** The first pause before connecting again, and the longest, in milliseconds. */
const FIRST_MS = 500;
const LONGEST_MS = 10_000;

/**
 * The pause before the attempt that follows `failures` failures. Half of it is chance, so that many
 * browsers do not come back at the same instant.
 */
export function pauseBefore(failures: number, chance: number = Math.random()): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures, 16));
  return Math.round(full / 2 + (full / 2) * chance);
}
