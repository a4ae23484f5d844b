import type { OrderStatus, TimelineEntry, Transition } from '../api/schema';
import { STATUSES } from '../api/words';
import { BOXES, edges, pathOf } from './machine-map';

const move = (from: OrderStatus, to: OrderStatus, fact = 'x'): Transition => ({ from, to, fact });
const entry = (to: OrderStatus | null): TimelineEntry => ({ to }) as TimelineEntry;

describe('the map of states', () => {
  it('has a place for every state, and no two at one place', () => {
    expect(BOXES.map((box) => box.status).sort()).toEqual([...STATUSES].sort());
    expect(new Set(BOXES.map((box) => `${box.x} ${box.y}`)).size).toBe(BOXES.length);
  });

  it('reads the path from the timeline', () => {
    const timeline = [entry('placed'), entry(null), entry('reserved'), entry('reserved')];
    expect(pathOf(timeline)).toEqual(['placed', 'reserved']);
  });

  it('draws each move once, with what moves along it, and none that stays', () => {
    const table = [
      move('placed', 'placed'),
      move('placed', 'reserved', 'a'),
      move('placed', 'reserved', 'b'),
    ];
    const drawn = edges(table, ['placed', 'reserved']);
    expect(drawn).toHaveLength(1);
    expect(drawn[0]).toMatchObject({ isTaken: true, facts: ['a', 'b'] });
  });

  it('draws there and back as one line, unless one of the two was taken', () => {
    const table = [move('placed', 'on_hold'), move('on_hold', 'placed')];
    expect(edges(table, ['placed'])).toMatchObject([{ isBoth: true, isTaken: false }]);
    const taken = edges(table, ['placed', 'on_hold']);
    expect(taken).toMatchObject([{ from: 'placed', isTaken: true, isBoth: false }]);
    const both = edges(table, ['placed', 'on_hold', 'placed']);
    expect(both.map((edge) => edge.isTaken)).toEqual([true, true]);
  });

  it('draws a step that passed through states in one piece', () => {
    expect(edges([], ['placed', 'confirmed'])).toMatchObject([{ isTaken: true }]);
  });
});
