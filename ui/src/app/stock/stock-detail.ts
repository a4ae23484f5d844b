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
import type { Stock, StockAsOf, StockLevel } from '../api/schema';
import { exact, fromLocal } from '../api/time';
import { StockStream } from '../live/stock-stream';
import { Chart, type Series } from '../parts/chart';
import { Field } from '../parts/field';
import { Icon } from '../parts/icon';
import { listing, reading } from '../parts/reading';
import { CountPipe, MoneyPipe, Status, When, WordingPipe } from '../parts/shown';
import { Empty, Loading, Trouble } from '../parts/states';
import { Ticker } from '../parts/ticker';
import { historyOf } from './history';
import { laid, markOf } from './levels';
import { StockAction, type StockActionKind } from './stock-action';

const JOURNAL_PAGE = 100;
const READ_AGAIN_MS = 600;

@Component({
  selector: 'mr-stock-detail',
  imports: [
    Chart,
    CountPipe,
    Empty,
    Field,
    Icon,
    Loading,
    MoneyPipe,
    RouterLink,
    Status,
    StockAction,
    Ticker,
    Trouble,
    When,
    WordingPipe,
  ],
  changeDetection: ChangeDetectionStrategy.OnPush,
  templateUrl: './stock-detail.html',
})
export class StockDetail {
  readonly sku = input.required<string>();
  private readonly api = inject(Api);

  protected readonly stock = reading(async (signal) => {
    const stock = await this.api.call('getStock', { path: { sku: this.sku() }, signal });
    return stock as Stock;
  });
  protected readonly product = reading(async (signal) => {
    try {
      return await this.api.call('getProduct', { path: { sku: this.sku() }, signal });
    } catch (error) {
      // Stock may be kept of what is not sold.
      if ((error as { status?: number }).status === 404) return null;
      throw error;
    }
  });
  protected readonly journal = listing((cursor, signal) =>
    this.api.call('getJournal', {
      path: { sku: this.sku() },
      query: { limit: JOURNAL_PAGE, ...(cursor ? { cursor } : {}) },
      signal,
    }),
  );
  protected readonly mark = computed(() => {
    const stock = this.stock.value();
    return stock ? markOf(stock) : '';
  });
  private readonly history = computed(() => {
    const safety = this.stock.value()?.safety ?? 0;
    return historyOf(this.journal.items(), safety, Date.now());
  });
  protected readonly times = computed(() => this.history().times);
  protected readonly series = computed<readonly Series[]>(() => [
    { label: 'On hand', tone: 1, values: this.history().onHand, isStepped: true },
    { label: 'Available', tone: 2, values: this.history().available, isStepped: true },
  ]);

  protected readonly action = signal<{ kind: StockActionKind; level: StockLevel } | null>(null);
  protected readonly asOf = signal<StockAsOf | null>(null);
  protected readonly asOfProblem = signal('');
  protected readonly exact = exact;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    const stream = inject(StockStream);
    const title = inject(Title);
    effect((onCleanup) => {
      const sku = this.sku();
      title.setTitle(`${sku} · Stock · Millrace`);
      onCleanup(
        untracked(() =>
          stream.listen({
            skus: [sku],
            changed: (levels) => this.take(levels),
            reload: () => this.read(),
          }),
        ),
      );
    });
    inject(DestroyRef).onDestroy(() => clearTimeout(this.timer));
  }

  protected read(): void {
    this.stock.reload();
    this.journal.reload();
  }

  private take(changes: readonly StockLevel[]): void {
    this.stock.change((stock) => {
      const { levels } = laid(stock.levels, changes);
      if (levels === stock.levels) return stock;
      const only = levels[0];
      // Of one location the sum is the level itself; of several, the server adds up.
      return levels.length === 1 && only
        ? { ...stock, ...only, levels: [...levels] }
        : { ...stock, levels: [...levels] };
    });
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.journal.reload();
      if ((this.stock.value()?.levels.length ?? 0) > 1) this.stock.reload();
    }, READ_AGAIN_MS);
  }

  protected async look(text: string): Promise<void> {
    this.asOfProblem.set('');
    if (!text) {
      this.asOf.set(null);
      return;
    }
    try {
      const query = { as_of: fromLocal(text) };
      const answer = await this.api.call('getStock', { path: { sku: this.sku() }, query });
      this.asOf.set(answer as StockAsOf);
    } catch (error) {
      this.asOf.set(null);
      this.asOfProblem.set(error instanceof Error ? error.message : String(error));
    }
  }

  protected done(): void {
    this.action.set(null);
    this.read();
  }
}
