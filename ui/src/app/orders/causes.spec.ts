import type { TimelineEntry } from '../api/schema';
import { because } from './causes';

function entry(sequence: number, step: string, cause: string | null): TimelineEntry {
  return { sequence, step, cause, service: 'order', at: '', sincePreviousUs: 0 } as TimelineEntry;
}

describe('the cause of a step', () => {
  const reserved = '01a21b0c-dc1e-7000-8000-000001600002';
  const entries = [
    entry(1, 'order.placed', 'api'),
    entry(2, 'inventory.reserved', reserved),
    entry(3, 'order.reserved', reserved),
    entry(4, 'order.expired', 'deadline'),
    entry(5, 'order.cancelled', null),
  ];
  const told = entries.map((each) => because(each, entries));

  it('is the fact that it came from, not the id of an event', () => {
    expect(told[2]).toMatch(/inventory reserved/i);
  });

  it('is a person, a program or time by name', () => {
    expect(told[0]).toBe('api');
    expect(told[3]).toBe('deadline');
  });

  it('is not told of what is its own cause, or has none', () => {
    expect(told[1]).toBeNull();
    expect(told[4]).toBeNull();
  });
});
