import {
  ChangeDetectionStrategy,
  Component,
  computed,
  DestroyRef,
  effect,
  inject,
  input,
  linkedSignal,
  signal,
  untracked,
  viewChild,
} from '@angular/core';
import { Router, RouterLink } from '@angular/router';

import { Api } from '../api/api';
import type { Order } from '../api/schema';
import { fromLocal, toLocal } from '../api/time';
import { STATUSES } from '../api/words';
import { type OrderChange, OrderStream } from '../live/order-stream';
import { Field } from '../parts/field';
import { Icon } from '../parts/icon';
import { listing, reading } from '../parts/reading';
import { CountPipe, MoneyPipe, Status, When, WordingPipe } from '../parts/shown';
import { Empty, Loading, Trouble } from '../parts/states';
import { Window } from '../parts/window';
import { changed, fits, inShort, merged } from './merge';

const PAGE = 50;
/** Rows kept in memory; an operator who goes deeper filters. */
const ROWS_MAX = 2000;
/** The least pause between two readings of the newest page, in milliseconds. */
const REFRESH_MS = 1200;
/** Changes are shown together, so often a second at most, in milliseconds. */
const TICK_MS = 120;

@Component({
  selector: 'mr-order-list',
  imports: [
    CountPipe,
    Empty,
    Field,
    Icon,
    Loading,
    MoneyPipe,
    RouterLink,
    Status,
    Trouble,
    When,
    Window,
    WordingPipe,
  ],
  changeDetection: ChangeDetectionStrategy.OnPush,
  templateUrl: './order-list.html',
})
export class OrderList {
  private readonly api = inject(Api);
  private readonly router = inject(Router);

  // The address is the state: a filter that is set can be sent to somebody.
  readonly status = input<string | undefined>();
  readonly customer = input<string | undefined>();
  readonly sku = input<string | undefined>();
  readonly from = input<string | undefined>();
  readonly to = input<string | undefined>();
  readonly q = input<string | undefined>();
  readonly attention = input<string | undefined>();
  readonly overdue = input<string | undefined>();

  protected readonly statuses = STATUSES;
  protected readonly chosen = computed(() => this.status()?.split(',').filter(Boolean) ?? []);
  protected readonly text = linkedSignal(() => this.q() ?? '');
  protected readonly moreFilters = computed(
    () => [this.customer(), this.sku(), this.from(), this.to()].filter(Boolean).length,
  );
  protected readonly isOpen = linkedSignal(() => untracked(this.moreFilters) > 0);
  protected readonly isFiltered = computed(
    () =>
      this.moreFilters() > 0 ||
      this.chosen().length > 0 ||
      Boolean(this.q() || this.attention() || this.overdue()),
  );
  protected readonly fromLocal = computed(() => toLocal(this.from() ?? ''));
  protected readonly toLocal = computed(() => toLocal(this.to() ?? ''));

  protected readonly list = listing((cursor, signal) => this.page(cursor, signal));
  protected readonly summary = reading((signal) => this.api.call('getSummary', { signal }));
  protected readonly counts = computed(
    () => new Map(this.summary.value()?.counts.map((one) => [one.status as string, one.count])),
  );
  protected readonly waiting = signal<readonly Order[]>([]);
  protected readonly fresh = computed(() => {
    const known = new Set(this.list.items().map((order) => order.orderId));
    return this.waiting().filter((order) => !known.has(order.orderId)).length;
  });
  protected readonly key = (order: Order): string => order.orderId;
  protected readonly inShort = inShort;
  private readonly window = viewChild(Window);

  private readonly changes = new Map<string, OrderChange>();
  private tick: ReturnType<typeof setTimeout> | undefined;
  private refreshTimer: ReturnType<typeof setTimeout> | undefined;
  private refreshedAt = 0;

  constructor() {
    const until = inject(DestroyRef);
    const stop = inject(OrderStream).listen({
      changed: (change) => this.take(change),
      reload: () => {
        this.list.reload();
        this.summary.reload();
      },
    });
    until.onDestroy(() => {
      stop();
      clearTimeout(this.tick);
      clearTimeout(this.refreshTimer);
    });
    // Another filter: what waited belongs to the old one.
    effect(() => {
      this.query();
      this.waiting.set([]);
      untracked(() => this.window()?.toTop());
    });
  }

  private readonly query = computed(() => ({
    status: this.chosen(),
    customer: this.customer() ?? '',
    sku: this.sku() ?? '',
    from: this.from() ?? '',
    to: this.to() ?? '',
    q: this.q() ?? '',
    ...(this.attention() ? { needs_attention: true } : {}),
    ...(this.overdue() ? { overdue: true } : {}),
  }));

  private page(cursor: string | undefined, signal: AbortSignal) {
    const query = { ...this.query(), limit: PAGE, ...(cursor ? { cursor } : {}) };
    return this.api.call('listOrders', { query, signal });
  }

  protected set(filter: Record<string, string | null>): void {
    void this.router.navigate([], {
      queryParams: filter,
      queryParamsHandling: 'merge',
      replaceUrl: true,
    });
  }

  protected toggle(status: string): void {
    const chosen = this.chosen();
    const next = chosen.includes(status)
      ? chosen.filter((other) => other !== status)
      : [...chosen, status];
    this.set({ status: next.join(',') || null });
  }

  protected setTime(name: 'from' | 'to', text: string): void {
    this.set({ [name]: fromLocal(text) || null });
  }

  protected clear(): void {
    void this.router.navigate([], { queryParams: {}, replaceUrl: true });
  }

  protected near(): void {
    if (this.list.items().length < ROWS_MAX) void this.list.more();
  }

  /** Puts the new orders on top and goes there. */
  protected showFresh(): void {
    this.lay(this.waiting());
    this.waiting.set([]);
    this.window()?.toTop();
  }

  private lay(page: readonly Order[]): void {
    this.list.change((list) => ({
      ...list,
      items: merged(list.items, page).slice(0, ROWS_MAX),
    }));
  }

  private take(change: OrderChange): void {
    this.changes.set(change.orderId, change);
    this.tick ??= setTimeout(() => {
      this.tick = undefined;
      this.apply();
    }, TICK_MS);
  }

  private apply(): void {
    const changes = new Map(this.changes);
    this.changes.clear();
    const filter = { status: this.chosen(), attention: Boolean(this.attention()) };
    const known = this.list.items();
    const isKnown = new Set(known.map((order) => order.orderId));
    if (known.some((order) => changes.has(order.orderId))) {
      this.list.change((list) => ({
        ...list,
        items: list.items
          .map((order) => {
            const change = changes.get(order.orderId);
            return change ? changed(order, change) : order;
          })
          .filter((order) => !changes.has(order.orderId) || fits(order, filter)),
      }));
    }
    // What is not shown may belong here now: only the server can judge every filter.
    if ([...changes.keys()].some((id) => !isKnown.has(id))) this.refreshSoon();
    else this.summarySoon();
  }

  private summarySoon(): void {
    if (Date.now() - this.refreshedAt < REFRESH_MS) this.refreshSoon();
    else {
      this.refreshedAt = Date.now();
      this.summary.reload();
    }
  }

  private refreshSoon(): void {
    const pause = Math.max(0, this.refreshedAt + REFRESH_MS - Date.now());
    this.refreshTimer ??= setTimeout(() => {
      this.refreshTimer = undefined;
      void this.refresh();
    }, pause);
  }

  private async refresh(): Promise<void> {
    this.refreshedAt = Date.now();
    this.summary.reload();
    const query = this.query();
    const page = await this.page(undefined, AbortSignal.timeout(10_000)).catch(() => null);
    if (!page || query !== this.query()) return;
    if (this.window()?.isAtTop() ?? true) this.lay(page.items);
    else this.waiting.set(page.items);
  }
}
