import type { Order } from '../api/schema';
import type { OrderChange } from '../live/order-stream';

/** Whether a change may tell something that `order` does not hold yet. */
export function isNewer(order: Order, change: OrderChange): boolean {
  if (change.orderId !== order.orderId) return false;
  // A change knows the version only where it tells all of it; times always tell what came later.
  if (change.version !== undefined) return change.version > order.version;
  return Date.parse(change.updatedAt ?? '') >= Date.parse(order.updatedAt);
}

/** The order after a change; the same object if the change is not newer. */
export function changed(order: Order, change: OrderChange): Order {
  if (!isNewer(order, change)) return order;
  // Only what an order has: a change may carry words of its own, such as a summary of its lines.
  const { lines: _, ...fields } = change;
  return { ...order, ...fields };
}

/** What of a list's filters can be judged from an order itself. */
export function fits(
  order: Pick<Order, 'status' | 'needsAttention'>,
  filter: OrderFilter,
): boolean {
  if (filter.status.length > 0 && !filter.status.includes(order.status)) return false;
  return !filter.attention || order.needsAttention;
}

export interface OrderFilter {
  status: readonly string[];
  attention: boolean;
}

/** The newest page laid over what is shown: newer versions win, and nothing is shown twice. */
export function merged(shown: readonly Order[], page: readonly Order[]): Order[] {
  const known = new Map(shown.map((order) => [order.orderId, order]));
  const newest = page.map((order) => {
    const old = known.get(order.orderId);
    return old && old.version > order.version ? old : order;
  });
  const inPage = new Set(page.map((order) => order.orderId));
  return [...newest, ...shown.filter((order) => !inPage.has(order.orderId))];
}

/** The lines of an order in few words. */
export function inShort(order: Order): string {
  const [first, ...others] = order.lines;
  if (!first) return 'No lines';
  const more = others.length > 0 ? ` and ${others.length} more` : '';
  return `${first.quantity} × ${first.name || first.sku}${more}`;
}
