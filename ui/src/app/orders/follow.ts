import {
  ChangeDetectionStrategy,
  Component,
  computed,
  effect,
  inject,
  input,
  output,
  untracked,
} from '@angular/core';
import { RouterLink } from '@angular/router';

import { Api } from '../api/api';
import type { OrderStatus } from '../api/schema';
import { duration } from '../api/time';
import { isSettled, wording } from '../api/words';
import { OrderStream } from '../live/order-stream';
import { Icon } from '../parts/icon';
import { reading } from '../parts/reading';
import { MoneyPipe, Status, WordingPipe } from '../parts/shown';
import { Trouble } from '../parts/states';

const WAY: readonly OrderStatus[] = ['placed', 'reserved', 'paying', 'confirmed'];

/** An order that was just placed, followed until it is settled. */
@Component({
  selector: 'mr-follow',
  imports: [Icon, MoneyPipe, RouterLink, Status, Trouble, WordingPipe],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `@if (order.value(); as shown) {
      <div class="total-row">
        <h2>Order #{{ shown.number }}</h2>
        <span role="status"><mr-status [word]="shown.status" /></span>
      </div>
      <div class="big-amount">{{ shown.total | money }}</div>
      <ol class="steps" aria-label="Steps">
        @for (step of steps(); track step.status) {
          <li [class.done]="step.isDone" [class.ended]="step.isEnd">
            <span class="step-mark">
              @if (step.isDone) {
                <mr-icon [name]="step.isEnd ? 'close' : 'check'" [size]="13" />
              }
            </span>
            {{ step.status | wording }}
            @if (step.after !== null) {
              <time>+{{ took(step.after) }}</time>
            }
          </li>
        }
      </ol>
      @if (shown.reason; as reason) {
        <p class="muted">{{ reason.detail || (reason.code | wording) }}</p>
      }
      <div class="actions">
        <a class="button primary" [routerLink]="['/orders', shown.orderId]">Open the order</a>
        <button type="button" class="button" (click)="again.emit()">Place another</button>
      </div>
    }
    @if (order.problem(); as problem) {
      <mr-trouble [problem]="problem" (retry)="order.reload()" />
    }`,
})
export class Follow {
  readonly orderId = input.required<string>();
  readonly again = output();
  private readonly api = inject(Api);
  protected readonly took = duration;

  protected readonly order = reading((signal) =>
    this.api.call('getOrder', { path: { orderId: this.orderId() }, signal }),
  );
  private readonly timeline = reading((signal) =>
    this.api.call('getTimeline', { path: { orderId: this.orderId() }, signal }),
  );

  protected readonly steps = computed(() => {
    const now = this.order.value()?.status;
    const entries = this.timeline.value()?.items ?? [];
    const start = entries[0] ? Date.parse(entries[0].at) : 0;
    const reached = new Map(
      entries.flatMap((entry) =>
        entry.to ? [[entry.to, Date.parse(entry.at) - start] as const] : [],
      ),
    );
    const isOffTheWay = now && isSettled(now) && !WAY.includes(now);
    const passed = WAY.filter((status) => reached.has(status) || status === 'placed');
    const way = isOffTheWay ? [...passed, now] : WAY;
    return way.map((status) => {
      const after = reached.get(status);
      return {
        status,
        isDone: status === now || after !== undefined,
        isEnd: Boolean(isOffTheWay) && status === now,
        after: after === undefined || status === 'placed' ? null : after * 1000,
      };
    });
  });

  constructor() {
    const stream = inject(OrderStream);
    effect((onCleanup) => {
      const orderId = this.orderId();
      const read = (): void => {
        this.order.reload();
        this.timeline.reload();
      };
      onCleanup(untracked(() => stream.listen({ orderId, changed: read, reload: read })));
    });
    // The confirmation may have been faster than the subscription: one look settles it.
    effect(() => {
      const order = this.order.value();
      if (order && isSettled(order.status)) untracked(() => this.timeline.reload());
    });
  }

  protected readonly wording = wording;
}
