import { pauseBefore } from './backoff';
import { type Line, shown } from './connection';

describe('the indicator', () => {
  const live: Line = { phase: 'live', retryAt: 0 };
  const connecting: Line = { phase: 'connecting', retryAt: 0 };
  const waiting = (retryAt: number): Line => ({ phase: 'waiting', retryAt });

  it('shows the worst of all streams', () => {
    expect(shown([live, live], true, 0).kind).toBe('live');
    expect(shown([live, connecting], true, 0).kind).toBe('connecting');
    expect(shown([live, waiting(3000)], true, 0)).toEqual({
      kind: 'lost',
      text: 'Reconnecting in 3 s',
    });
    expect(shown([waiting(9000), waiting(1500)], true, 1000).text).toBe('Reconnecting in 1 s');
    expect(shown([waiting(500)], true, 1000).text).toBe('Reconnecting');
    expect(shown([live], false, 0)).toEqual({ kind: 'lost', text: 'Offline' });
  });

  it('never says live before anything is', () => {
    expect(shown([], true, 0).kind).toBe('connecting');
  });
});

describe('the pause before connecting again', () => {
  it('grows, ends at its longest, and is never without chance', () => {
    expect([0, 1, 2, 3].map((failures) => pauseBefore(failures, 1))).toEqual([
      500, 1000, 2000, 4000,
    ]);
    expect(pauseBefore(50, 1)).toBe(10_000);
    expect(pauseBefore(50, 0)).toBe(5_000);
    for (let n = 0; n < 1000; n += 1) {
      const pause = pauseBefore(n % 20);
      expect(pause).toBeGreaterThanOrEqual(250);
      expect(pause).toBeLessThanOrEqual(10_000);
    }
  });
});
