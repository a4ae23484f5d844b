import { ago, duration, fromLocal, toLocal } from './time';

describe('time', () => {
  const now = Date.parse('2026-11-26T12:00:00Z');
  const before = (seconds: number): string => new Date(now - seconds * 1000).toISOString();

  it('is told as long ago as it is, and clocks that differ a little say now', () => {
    expect(ago(before(2), now)).toBe('just now');
    expect(ago(before(-3), now)).toBe('just now');
    expect(ago(before(42), now)).toMatch(/42/);
    expect(ago(before(119), now)).toMatch(/1/);
    expect(ago(before(3 * 3600), now)).toMatch(/3/);
    expect(ago(before(40 * 86_400), now)).toMatch(/2026/);
  });

  it('lasts in the unit that fits', () => {
    expect([0, 999, 1_955, 12_400, 1_500_000, 61_000_000, 7_500_000_000].map(duration)).toEqual([
      '0 µs',
      '999 µs',
      '2.0 ms',
      '12 ms',
      '1.5 s',
      '1 min 1 s',
      '2 h 5 min',
    ]);
  });

  it('goes into a field for local time and comes back', () => {
    expect(fromLocal(toLocal('2026-11-26T12:34:00.000Z'))).toBe('2026-11-26T12:34:00.000Z');
    expect(toLocal('')).toBe('');
    expect(fromLocal('')).toBe('');
  });
});
