import {
  ChangeDetectionStrategy,
  Component,
  computed,
  DestroyRef,
  inject,
  input,
  linkedSignal,
  signal,
} from '@angular/core';
import { Router, RouterLink } from '@angular/router';

import { Api } from '../api/api';
import type { StockLevel } from '../api/schema';
import { StockStream } from '../live/stock-stream';
import { Icon } from '../parts/icon';
import { listing } from '../parts/reading';
import { Status, When } from '../parts/shown';
import { Empty, Loading, Trouble } from '../parts/states';
import { Ticker } from '../parts/ticker';
import { keyOf, laid, markOf } from './levels';
import { StockAction } from './stock-action';

const PAGE = 100;
const TICK_MS = 120;

@Component({
  selector: 'mr-stock-list',
  imports: [Empty, Icon, Loading, RouterLink, Status, StockAction, Ticker, Trouble, When],
  changeDetection: ChangeDetectionStrategy.OnPush,
  templateUrl: './stock-list.html',
})
export class StockList {
  private readonly api = inject(Api);
  private readonly router = inject(Router);
  readonly q = input<string | undefined>();
  readonly filter = input<string | undefined>();
  protected readonly text = linkedSignal(() => this.q() ?? '');

  protected readonly list = listing((cursor, signal) =>
    this.api.call('listStock', {
      query: {
        q: this.q() ?? '',
        filter: this.filter() ?? '',
        limit: PAGE,
        ...(cursor ? { cursor } : {}),
      },
      signal,
    }),
  );
  protected readonly rows = computed(() =>
    this.list.items().map((level) => ({ level, key: keyOf(level), mark: markOf(level) })),
  );
  protected readonly isReceiving = signal(false);
  private waiting: StockLevel[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    const stop = inject(StockStream).listen({
      changed: (levels) => this.take(levels),
      reload: () => this.list.reload(),
    });
    inject(DestroyRef).onDestroy(() => {
      stop();
      clearTimeout(this.timer);
    });
  }

  protected set(filter: Record<string, string | null>): void {
    void this.router.navigate([], {
      queryParams: filter,
      queryParamsHandling: 'merge',
      replaceUrl: true,
    });
  }

  private take(levels: readonly StockLevel[]): void {
    this.waiting.push(...levels);
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      const changes = this.waiting;
      this.waiting = [];
      const { levels: next, unknown } = laid(this.list.items(), changes);
      if (next !== this.list.items()) this.list.change((page) => ({ ...page, items: [...next] }));
      // A level that is not shown may have come into being, or may fit the filter by now.
      const fits = (level: StockLevel): boolean =>
        (!this.filter() || markOf(level) === this.filter()) && level.sku.includes(this.q() ?? '');
      if (!this.list.hasMore() && unknown.some(fits)) this.list.reload();
    }, TICK_MS);
  }

  protected done(): void {
    this.isReceiving.set(false);
    this.list.reload();
  }
}
