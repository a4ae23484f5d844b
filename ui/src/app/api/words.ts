import type { OrderStatus } from './schema';

export type Tone = 'ok' | 'info' | 'warn' | 'bad' | 'quiet';

const TONES: Readonly<Record<string, Tone>> = {
  placed: 'info',
  awaiting_decision: 'warn',
  reserved: 'info',
  paying: 'info',
  confirmed: 'ok',
  fulfilling: 'ok',
  completed: 'ok',
  on_hold: 'warn',
  cancelling: 'warn',
  rejected: 'bad',
  cancelled: 'quiet',
  expired: 'quiet',
  // Money.
  none: 'quiet',
  authorized: 'info',
  captured: 'ok',
  paid: 'ok',
  partially_refunded: 'warn',
  refunded: 'quiet',
  voided: 'quiet',
  failed: 'bad',
  requested: 'info',
  unknown: 'warn',
  declined: 'bad',
  pending: 'info',
  succeeded: 'ok',
  // Goods.
  unfulfilled: 'quiet',
  backorder: 'warn',
  partial: 'info',
  fulfilled: 'ok',
  partially_returned: 'warn',
  returned: 'quiet',
  // Processes.
  ready: 'ok',
  degraded: 'warn',
  starting: 'info',
  not_ready: 'bad',
  unreachable: 'bad',
  // Everything else.
  active: 'ok',
  retired: 'quiet',
  blocked: 'bad',
  sent: 'ok',
  low: 'warn',
  out: 'bad',
  back: 'ok',
};

/** How a state is coloured; its word is always shown beside the colour. */
export function toneOf(word: string): Tone {
  return TONES[word] ?? 'quiet';
}

/** `awaiting_decision` as people read it. */
export function wording(word: string): string {
  const text = word.replace(/[_.-]/g, ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** All states of an order, in the sequence of its life. */
export const STATUSES: readonly OrderStatus[] = [
  'placed',
  'awaiting_decision',
  'reserved',
  'paying',
  'confirmed',
  'fulfilling',
  'completed',
  'on_hold',
  'cancelling',
  'rejected',
  'cancelled',
  'expired',
];

const SETTLED: readonly string[] = ['confirmed', 'completed', 'rejected', 'cancelled', 'expired'];

/** Whether nothing will change in a moment by itself. */
export function isSettled(status: string): boolean {
  return SETTLED.includes(status) || status === 'awaiting_decision' || status === 'on_hold';
}
