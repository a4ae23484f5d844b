import { formatMoney, minorUnits, ofMinorUnits, sum } from './money';

describe('money', () => {
  it('is formatted in the form of its currency, exactly', () => {
    expect(formatMoney({ amount: '2599.99', currency: 'USD' }, 'en')).toBe('$2,599.99');
    expect(formatMoney({ amount: '1200', currency: 'JPY' }, 'en')).toBe('¥1,200');
    expect(formatMoney({ amount: '90071992547409.93', currency: 'USD' }, 'en')).toBe(
      '$90,071,992,547,409.93',
    );
    expect(formatMoney({ amount: '1.00', currency: 'bad!' }, 'en')).toBe('1.00 bad!');
  });

  it('is counted in whole minor units and back', () => {
    for (const [amount, currency, units] of [
      ['2599.99', 'USD', 259_999n],
      ['0.05', 'USD', 5n],
      ['-0.05', 'USD', -5n],
      ['1200', 'JPY', 1200n],
      ['1.234', 'KWD', 1234n],
    ] as const) {
      expect(minorUnits({ amount, currency })).toBe(units);
      expect(ofMinorUnits(units, currency)).toEqual({ amount, currency });
    }
  });

  it('adds up without a float, and not over two currencies', () => {
    const dollars = (amount: string) => ({ amount, currency: 'USD' });
    expect(sum([{ price: dollars('0.10'), quantity: 3 }])).toEqual(dollars('0.30'));
    expect(
      sum([
        { price: dollars('1999.99'), quantity: 2 },
        { price: dollars('89.00'), quantity: 1 },
      ]),
    ).toEqual(dollars('4088.98'));
    expect(sum([])).toBeNull();
    const mixed = [dollars('1.00'), { amount: '1', currency: 'JPY' }];
    expect(sum(mixed.map((price) => ({ price, quantity: 1 })))).toBeNull();
  });
});
