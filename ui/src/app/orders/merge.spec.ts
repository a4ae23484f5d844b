import type { Order } from '../api/schema';
import { changed, fits, inShort, isNewer, merged } from './merge';

function order(fields: Partial<Order> = {}): Order {
  return {
    orderId: 'a',
    status: 'placed',
    version: 3,
    updatedAt: '2026-11-26T12:00:00.000000Z',
    needsAttention: false,
    lines: [{ sku: 'item1', name: 'Laptop', quantity: 2 }],
    ...fields,
  } as Order;
}

describe('a change of an order', () => {
  const later = { updatedAt: '2026-11-26T12:00:01.000000Z' };
  const earlier = { updatedAt: '2026-11-26T11:59:59.000000Z' };

  it('is laid over the order if it is newer', () => {
    const shown = order();
    expect(changed(shown, { orderId: 'a', status: 'paying', ...later })).toMatchObject({
      status: 'paying',
      version: 3,
      lines: shown.lines,
    });
    expect(changed(shown, { orderId: 'a', version: 4, status: 'paying' }).version).toBe(4);
  });

  it('is left aside if it is older, or of another order', () => {
    const shown = order();
    expect(changed(shown, { orderId: 'a', status: 'paying', ...earlier })).toBe(shown);
    expect(changed(shown, { orderId: 'a', version: 3, status: 'paying', ...later })).toBe(shown);
    expect(changed(shown, { orderId: 'b', status: 'paying', ...later })).toBe(shown);
    expect(isNewer(shown, { orderId: 'a' })).toBe(false);
  });

  it('does not bring a summary of lines in the place of the lines', () => {
    const lines = [{ sku: 'item1' }] as Order['lines'];
    const shown = order();
    expect(changed(shown, { orderId: 'a', version: 9, lines }).lines).toBe(shown.lines);
  });
});

describe('a list of orders', () => {
  it('takes the newest page without showing anything twice or going back', () => {
    const known = [order({ orderId: 'b', version: 7 }), order({ orderId: 'a' })];
    const page = [order({ orderId: 'c' }), order({ orderId: 'b', version: 6, status: 'placed' })];
    const list = merged(known, page);
    expect(list.map(({ orderId, version }) => [orderId, version])).toEqual([
      ['c', 3],
      ['b', 7],
      ['a', 3],
    ]);
  });

  it('drops what no longer fits its states', () => {
    expect(fits(order(), { status: [], attention: false })).toBe(true);
    expect(fits(order(), { status: ['paying'], attention: false })).toBe(false);
    expect(fits(order({ needsAttention: true }), { status: [], attention: true })).toBe(true);
    expect(fits(order(), { status: [], attention: true })).toBe(false);
  });

  it('says lines in few words', () => {
    expect(inShort(order())).toBe('2 × Laptop');
    const line = order().lines[0] as Order['lines'][number];
    expect(inShort(order({ lines: [line, line, line] }))).toBe('2 × Laptop and 2 more');
    expect(inShort(order({ lines: [] }))).toBe('No lines');
  });
});
