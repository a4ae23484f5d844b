import { ChangeDetectionStrategy, Component, computed, DestroyRef, inject } from '@angular/core';
import { RouterLink } from '@angular/router';

import { Api } from '../api/api';
import { duration } from '../api/time';
import { STATUSES, toneOf } from '../api/words';
import { OrderStream } from '../live/order-stream';
import { Chart, type Series } from '../parts/chart';
import { Icon } from '../parts/icon';
import { reading } from '../parts/reading';
import { CountPipe, MoneyPipe, Status, WordingPipe } from '../parts/shown';
import { Empty, Loading, Trouble } from '../parts/states';
import { Ticker } from '../parts/ticker';
import { inShort } from '../orders/merge';

const POLL_MS = 2000;
const NEWEST = 8;
/** Between two readings of the newest orders, at least, in milliseconds. */
const READ_AGAIN_MS = 1000;

@Component({
  selector: 'mr-dashboard',
  imports: [
    Chart,
    CountPipe,
    Empty,
    Icon,
    Loading,
    MoneyPipe,
    RouterLink,
    Status,
    Ticker,
    Trouble,
    WordingPipe,
  ],
  changeDetection: ChangeDetectionStrategy.OnPush,
  templateUrl: './dashboard.html',
})
export class Dashboard {
  private readonly api = inject(Api);
  protected readonly overview = reading((signal) => this.api.call('getOverview', { signal }));
  protected readonly newest = reading((signal) =>
    this.api.call('listOrders', { query: { limit: NEWEST }, signal }),
  );
  protected readonly inShort = inShort;

  protected readonly states = computed(() => {
    const counts = this.overview.value()?.ordersByStatus ?? {};
    return STATUSES.map((status) => ({
      status,
      count: counts[status] ?? 0,
      tone: toneOf(status),
    }));
  });
  protected readonly present = computed(() => this.states().filter((state) => state.count > 0));
  protected readonly times = computed(() =>
    (this.overview.value()?.series ?? []).map((point) => Date.parse(point.at) / 1000),
  );
  protected readonly series = computed<readonly Series[]>(() => {
    const points = this.overview.value()?.series ?? [];
    return [
      { label: 'Placed', tone: 1, values: points.map((point) => point.placed) },
      { label: 'Confirmed', tone: 2, values: points.map((point) => point.confirmed) },
      { label: 'Rejected', tone: 3, values: points.map((point) => point.rejected) },
    ];
  });

  constructor() {
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') this.overview.reload();
    }, POLL_MS);
    let soon: ReturnType<typeof setTimeout> | undefined;
    const readSoon = (): void => {
      soon ??= setTimeout(() => {
        soon = undefined;
        this.newest.reload();
        this.overview.reload();
      }, READ_AGAIN_MS);
    };
    const stop = inject(OrderStream).listen({
      changed: readSoon,
      reload: () => {
        this.newest.reload();
        this.overview.reload();
      },
    });
    inject(DestroyRef).onDestroy(() => {
      clearInterval(timer);
      clearTimeout(soon);
      stop();
    });
  }

  protected rate(value: number | undefined): string {
    if (value === undefined) return '–';
    return value >= 100 || value === 0 ? Math.round(value).toLocaleString() : value.toFixed(1);
  }

  protected millis(value: number | null | undefined): string {
    return value === null || value === undefined ? '–' : duration(Math.round(value * 1000));
  }
}
