import type { JournalEntry, StockLevel } from '../api/schema';
import { historyOf } from './history';
import { laid, markOf } from './levels';

function level(fields: Partial<StockLevel> = {}): StockLevel {
  return {
    sku: 'item1',
    location: 'main',
    onHand: 10,
    held: 0,
    allocated: 0,
    available: 10,
    lowThreshold: 5,
    version: 4,
    ...fields,
  } as StockLevel;
}

describe('a level', () => {
  it('is low at its threshold and out at nothing', () => {
    expect(markOf(level())).toBe('');
    expect(markOf(level({ available: 5 }))).toBe('low');
    expect(markOf(level({ available: 0 }))).toBe('out');
    expect(markOf(level({ available: 1, lowThreshold: 0 }))).toBe('');
  });

  it('takes newer changes only, and says which numbers moved', () => {
    const shown = [level(), level({ sku: 'item2' })];
    const same = laid(shown, [level({ version: 4, onHand: 99 }), level({ version: 3 })]);
    expect(same.levels).toBe(shown);
    const next = laid(shown, [
      level({ version: 6, held: 2, available: 8 }),
      level({ version: 5, held: 1, available: 9 }),
      level({ sku: 'item9' }),
    ]);
    expect(next.levels[0]).toMatchObject({ version: 6, available: 8, lowThreshold: 5 });
    expect(next.levels[1]).toBe(shown[1]);
    expect(next.changed).toEqual(['item1 main held', 'item1 main available']);
    expect(next.unknown.map((one) => one.sku)).toEqual(['item9']);
  });
});

describe('the history of a level', () => {
  const entry = (at: string, onHand: number, held: number, location = 'main'): JournalEntry =>
    ({
      at,
      location,
      balances: { onHand, held, allocated: 0, quarantined: 0 },
    }) as JournalEntry;

  it('is in the sequence of time, up to now, and the last of one instant stands', () => {
    const entries = [
      entry('2026-01-01T00:00:02Z', 8, 0),
      entry('2026-01-01T00:00:02Z', 10, 2),
      entry('2026-01-01T00:00:00Z', 10, 0),
    ];
    const now = Date.parse('2026-01-01T00:00:10Z');
    const history = historyOf(entries, 1, now);
    const begin = Date.parse('2026-01-01T00:00:00Z') / 1000;
    expect(history.times.map((time) => time - begin)).toEqual([0, 2, 10]);
    expect(history.onHand).toEqual([10, 8, 8]);
    expect(history.available).toEqual([9, 7, 7]);
  });

  it('adds locations up', () => {
    const entries = [
      entry('2026-01-01T00:00:01Z', 5, 0, 'east'),
      entry('2026-01-01T00:00:00Z', 10, 0, 'main'),
    ];
    expect(historyOf(entries, 0, 0).onHand).toEqual([10, 15, 15]);
    expect(historyOf([], 0, 0).times).toEqual([]);
  });
});
