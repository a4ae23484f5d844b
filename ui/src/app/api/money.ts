import type { Money } from './schema';

/** How many digits follow the point in a currency: 2 for dollars, 0 for yen. */
export function digitsOf(currency: string): number {
  try {
    const format = new Intl.NumberFormat('en', { style: 'currency', currency });
    return format.resolvedOptions().maximumFractionDigits ?? 2;
  } catch {
    return 2;
  }
}

const formats = new Map<string, Intl.NumberFormat>();

/** An amount as people write it. The text goes to the formatter as it is, never through a float. */
export function formatMoney(money: Money, locale?: string): string {
  const key = `${locale ?? ''} ${money.currency}`;
  let format = formats.get(key);
  if (!format) {
    try {
      format = new Intl.NumberFormat(locale, { style: 'currency', currency: money.currency });
    } catch {
      return `${money.amount} ${money.currency}`;
    }
    formats.set(key, format);
  }
  return format.format(money.amount as unknown as number);
}

/** Whole minor units of an amount: cents of dollars. */
export function minorUnits(money: Money): bigint {
  const digits = digitsOf(money.currency);
  const [whole = '0', part = ''] = money.amount.replace('-', '').split('.');
  const units = BigInt(whole + part.padEnd(digits, '0').slice(0, digits));
  return money.amount.startsWith('-') ? -units : units;
}

/** The amount of so many minor units. */
export function ofMinorUnits(units: bigint, currency: string): Money {
  const digits = digitsOf(currency);
  const sign = units < 0n ? '-' : '';
  const text = (units < 0n ? -units : units).toString().padStart(digits + 1, '0');
  const amount = digits ? `${text.slice(0, -digits)}.${text.slice(-digits)}` : text;
  return { amount: sign + amount, currency };
}

/** The sum over prices times quantities; nothing if the currencies differ. */
export function sum(lines: readonly { price: Money; quantity: number }[]): Money | null {
  const currency = lines[0]?.price.currency;
  if (!currency || lines.some((line) => line.price.currency !== currency)) return null;
  const total = lines.reduce(
    (units, line) => units + minorUnits(line.price) * BigInt(line.quantity),
    0n,
  );
  return ofMinorUnits(total, currency);
}
