import { inject, Injectable } from '@angular/core';

import { address } from '../api/api';
import type { StockLevel } from '../api/schema';
import { pauseBefore } from './backoff';
import { Connection } from './connection';

/** What a page does with the stream. */
export interface StockListener {
  /** Only these; all if empty. */
  skus?: readonly string[];
  /** Some levels have changed. They may come late or twice: the version says which is newer. */
  changed: (levels: readonly StockLevel[]) => void;
  /** Something was missed: what is shown must be read again. */
  reload: () => void;
}

/** Stock as it changes, over server-sent events. */
@Injectable({ providedIn: 'root' })
export class StockStream {
  private readonly connection = inject(Connection);

  /** Listens, and answers how to stop that. */
  listen(listener: StockListener): () => void {
    const feed = new Feed(listener, this.connection);
    return () => feed.close();
  }
}

/** One event source, opened again for as long as somebody listens. */
class Feed {
  private source: EventSource | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private failures = 0;
  private position = '';
  private wasOpen = false;
  private readonly stopRetry: () => void;

  constructor(
    private readonly listener: StockListener,
    private readonly connection: Connection,
  ) {
    this.stopRetry = connection.onRetry(() => {
      if (!this.source) this.open();
    });
    this.open();
  }

  close(): void {
    this.stopRetry();
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
    this.connection.forget(this);
  }

  private open(): void {
    clearTimeout(this.timer);
    this.connection.tell(this, 'connecting');
    const sku = this.listener.skus ?? [];
    // The page has read what it shows; the stream only says what changes from here on.
    let url = address(
      '/api/v1/stock/stream',
      {},
      { snapshot: 'false', lastEventId: this.position },
    );
    for (const one of sku) url += `&sku=${encodeURIComponent(one)}`;
    const source = new EventSource(url);
    this.source = source;
    source.onopen = () => this.opened();
    source.onerror = () => this.lost(pauseBefore(this.failures++));
    source.addEventListener('stock', (event) => {
      this.position = event.lastEventId || this.position;
      this.listener.changed([JSON.parse(event.data) as StockLevel]);
    });
    source.addEventListener('snapshot', (event) => {
      this.position = event.lastEventId || this.position;
      this.listener.changed((JSON.parse(event.data) as { items: StockLevel[] }).items);
    });
    source.addEventListener('reset', () => this.listener.reload());
    source.addEventListener('bye', (event) => {
      const { reconnectAfterMs } = JSON.parse(event.data) as { reconnectAfterMs?: number };
      this.lost(reconnectAfterMs ?? pauseBefore(0));
    });
  }

  private opened(): void {
    this.failures = 0;
    this.connection.tell(this, 'live');
    // Without a position to resume from, nobody knows what happened in between.
    if (this.wasOpen) this.listener.reload();
    this.wasOpen = true;
  }

  private lost(pause: number): void {
    this.source?.close();
    this.source = null;
    this.connection.tell(this, 'waiting', Date.now() + pause);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), pause);
  }
}
