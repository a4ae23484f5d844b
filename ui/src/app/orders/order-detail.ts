import {
  ChangeDetectionStrategy,
  Component,
  computed,
  DestroyRef,
  effect,
  inject,
  input,
  signal,
  untracked,
} from '@angular/core';
import { Title } from '@angular/platform-browser';
import { RouterLink } from '@angular/router';

import { Api } from '../api/api';
import type { Order } from '../api/schema';
import { duration, exact, timeOfDay } from '../api/time';
import { OrderStream } from '../live/order-stream';
import { Icon } from '../parts/icon';
import { reading } from '../parts/reading';
import { CountPipe, MoneyPipe, Status, When, WordingPipe } from '../parts/shown';
import { Empty, Loading, Trouble } from '../parts/states';
import { Toasts } from '../parts/toasts';
import { because } from './causes';
import { Machine } from './machine';
import { changed, isNewer } from './merge';
import { type ActionName, OrderAction } from './order-action';

/** The buttons, in their sequence, and which of `nextActions` each stands for. */
const BUTTONS: readonly (readonly [ActionName, string, readonly string[]])[] = [
  ['settle', 'Settle', ['retry', 'skip', 'force']],
  ['decide', 'Decide', ['accept', 'amend']],
  ['resume', 'Resume', ['resume']],
  ['ship', 'Dispatch', ['create_shipment']],
  ['hold', 'Hold', ['hold']],
  ['cancel', 'Cancel order', ['cancel']],
];

@Component({
  selector: 'mr-order-detail',
  imports: [
    CountPipe,
    Empty,
    Icon,
    Loading,
    Machine,
    MoneyPipe,
    OrderAction,
    RouterLink,
    Status,
    Trouble,
    When,
    WordingPipe,
  ],
  changeDetection: ChangeDetectionStrategy.OnPush,
  templateUrl: './order-detail.html',
})
export class OrderDetail {
  readonly orderId = input.required<string>();
  private readonly api = inject(Api);
  private readonly toasts = inject(Toasts);

  protected readonly order = reading((signal) =>
    this.api.call('getOrder', { path: { orderId: this.orderId() }, signal }),
  );
  protected readonly timeline = reading((signal) =>
    this.api.call('getTimeline', {
      path: { orderId: this.orderId() },
      query: { limit: 200 },
      signal,
    }),
  );
  protected readonly table = reading((signal) => this.api.call('getTransitions', { signal }));
  protected readonly payment = reading(async (signal) => {
    try {
      return await this.api.call('getPayment', { path: { orderId: this.orderId() }, signal });
    } catch (error) {
      // An order that ended before it was to be paid has no payment.
      if ((error as { status?: number }).status === 404) return null;
      throw error;
    }
  });

  protected readonly entries = computed(() => {
    const items = this.timeline.value()?.items ?? [];
    return items.map((entry) => ({ ...entry, because: because(entry, items) }));
  });
  protected readonly buttons = computed(() => {
    const next = this.order.value()?.nextActions ?? [];
    return BUTTONS.filter(([, , words]) => words.some((word) => next.includes(word)));
  });
  protected readonly action = signal<ActionName | null>(null);
  protected readonly took = duration;
  protected readonly exact = exact;
  protected readonly timeOfDay = timeOfDay;
  protected readonly sinceStart = computed(() => {
    const first = this.entries()[0];
    const last = this.entries().at(-1);
    return first && last ? (Date.parse(last.at) - Date.parse(first.at)) * 1000 : 0;
  });

  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    const until = inject(DestroyRef);
    const stream = inject(OrderStream);
    const title = inject(Title);
    effect((onCleanup) => {
      const orderId = this.orderId();
      const stop = untracked(() =>
        stream.listen({
          orderId,
          changed: (change) => {
            const shown = this.order.value();
            if (shown && !isNewer(shown, change)) return;
            this.order.change((order) => changed(order, change));
            this.readSoon();
          },
          reload: () => this.read(),
        }),
      );
      onCleanup(stop);
    });
    effect(() => {
      const order = this.order.value();
      if (order) title.setTitle(`Order ${order.number} · Millrace`);
    });
    until.onDestroy(() => clearTimeout(this.timer));
  }

  protected read(): void {
    this.order.reload();
    this.timeline.reload();
    this.payment.reload();
  }

  /** A change says only what has changed; lines, money and timeline are read in whole. */
  private readSoon(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.read();
    }, 60);
  }

  protected done(order: Order): void {
    this.action.set(null);
    this.order.set(order);
    this.read();
    this.toasts.say(`Order ${order.number} is ${order.status.replace('_', ' ')}.`);
  }
}
