import { visible } from './window';

describe('the window on a long list', () => {
  it('holds what is seen and a margin, never more than there is', () => {
    expect(visible(0, 520, 52, 10_000)).toEqual({ from: 0, to: 18 });
    expect(visible(52_000, 520, 52, 10_000)).toEqual({ from: 992, to: 1018 });
    expect(visible(0, 520, 52, 3)).toEqual({ from: 0, to: 3 });
    // The list became shorter than what was scrolled.
    expect(visible(52_000, 520, 52, 5)).toEqual({ from: 5, to: 5 });
    expect(visible(0, 520, 52, 0)).toEqual({ from: 0, to: 0 });
  });
});
