import type { StockLevel } from '../api/schema';

/** What a level is called when it needs somebody's eye. */
export function markOf(level: StockLevel): 'out' | 'low' | '' {
  if (level.available <= 0) return 'out';
  return level.lowThreshold > 0 && level.available <= level.lowThreshold ? 'low' : '';
}

export function keyOf(level: Pick<StockLevel, 'sku' | 'location'>): string {
  return `${level.sku} ${level.location ?? ''}`;
}

/** The numbers of a level that a person watches. */
export const NUMBERS = ['onHand', 'held', 'allocated', 'available'] as const;

/** How often each number has changed since the page was opened: the change that flashes it. */
export type Flashes = ReadonlyMap<string, number>;

/**
 * Lays changed levels over those shown. Answers the same list if nothing is newer, and which
 * numbers have changed.
 */
export function laid(
  shown: readonly StockLevel[],
  changes: readonly StockLevel[],
): { levels: readonly StockLevel[]; changed: string[]; unknown: StockLevel[] } {
  const newest = new Map<string, StockLevel>();
  for (const change of changes) {
    const known = newest.get(keyOf(change));
    if (!known || known.version < change.version) newest.set(keyOf(change), change);
  }
  const changed: string[] = [];
  let isSame = true;
  const levels = shown.map((level) => {
    const change = newest.get(keyOf(level));
    newest.delete(keyOf(level));
    if (!change || change.version <= level.version) return level;
    isSame = false;
    for (const number of NUMBERS) {
      if (level[number] !== change[number]) changed.push(`${keyOf(level)} ${number}`);
    }
    // A change may leave out what did not change, such as the threshold.
    return { ...level, ...change };
  });
  return { levels: isSame ? shown : levels, changed, unknown: [...newest.values()] };
}
