import { inject, Injectable } from '@angular/core';
import type { Client, StompSubscription } from '@stomp/stompjs';

import type { Order } from '../api/schema';
import { pauseBefore } from './backoff';
import { Connection } from './connection';

/** What is said of an order: its id, and what has changed. */
export type OrderChange = Partial<Order> & Pick<Order, 'orderId'>;

/** What a page does with the stream. */
export interface OrderListener {
  /** Only this order; all if not given. */
  orderId?: string;
  changed: (change: OrderChange) => void;
  /** Something was missed: what is shown must be read again. */
  reload: () => void;
}

/** After so many WebSockets that did not open, the fallback transports are tried. */
const SOCKETS_MAX = 2;
/** What the server and the browser owe each other as a sign of life, in milliseconds. */
const HEARTBEAT_MS = 10_000;

/** The fallback. It was written for a bundler that calls the global object `global`. */
async function sockJs() {
  Object.assign(globalThis, { global: globalThis });
  return (await import('sockjs-client')).default;
}

/** Orders as they change, over STOMP: one connection for the whole page. */
@Injectable({ providedIn: 'root' })
export class OrderStream {
  private readonly connection = inject(Connection);
  private readonly listeners = new Map<OrderListener, StompSubscription | null>();
  private client: Client | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private failures = 0;
  private socketFailures = 0;
  private isOpening = false;
  private wasOpen = false;

  /** Connects for as long as the browser shows this page. */
  start(): void {
    this.connection.onRetry(() => {
      if (!this.client && !this.isOpening) void this.open();
    });
    void this.open();
  }

  /** Listens, and answers how to stop that. */
  listen(listener: OrderListener): () => void {
    this.listeners.set(listener, this.subscribe(listener));
    return () => {
      // After the connection is gone there is nothing to tell it.
      if (this.client?.connected) this.listeners.get(listener)?.unsubscribe();
      this.listeners.delete(listener);
    };
  }

  private subscribe(listener: OrderListener): StompSubscription | null {
    if (!this.client?.connected) return null;
    const topic = listener.orderId ? `/topic/orders.${listener.orderId}` : '/topic/orders';
    return this.client.subscribe(topic, (message) => {
      if (message.headers['event'] === 'reset') listener.reload();
      else listener.changed(JSON.parse(message.body) as OrderChange);
    });
  }

  private async open(): Promise<void> {
    clearTimeout(this.timer);
    this.isOpening = true;
    this.connection.tell(this, 'connecting');
    try {
      const { Client } = await import('@stomp/stompjs');
      const fallback = this.socketFailures >= SOCKETS_MAX ? await sockJs() : null;
      const client = new Client({
        reconnectDelay: 0, // The pause is ours, so that it can be shown.
        heartbeatIncoming: HEARTBEAT_MS,
        heartbeatOutgoing: HEARTBEAT_MS,
        connectionTimeout: HEARTBEAT_MS,
        onConnect: () => this.opened(),
        onStompError: () => this.lost(client),
        onWebSocketClose: () => this.lost(client),
      });
      if (fallback) {
        const url = new URL('/ws-orders', location.href);
        client.webSocketFactory = () => new fallback(url.href) as unknown as WebSocket;
      } else {
        const url = new URL('/ws-orders', location.href);
        url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
        client.brokerURL = url.href;
      }
      this.client = client;
      client.activate();
    } catch (error) {
      // The file of the library could not be loaded: the server is away.
      console.warn('no connection could be tried:', error);
      this.wait();
    } finally {
      this.isOpening = false;
    }
  }

  private opened(): void {
    this.failures = 0;
    this.socketFailures = 0;
    this.connection.tell(this, 'live');
    for (const listener of [...this.listeners.keys()]) {
      this.listeners.set(listener, this.subscribe(listener));
      // STOMP has no position to resume from, so what happened in between is read.
      if (this.wasOpen) listener.reload();
    }
    this.wasOpen = true;
  }

  private lost(client: Client): void {
    if (this.client !== client) return;
    this.client = null;
    if (!client.connected) this.socketFailures += 1;
    void client.deactivate({ force: true });
    this.wait();
  }

  private wait(): void {
    const pause = pauseBefore(this.failures++);
    this.connection.tell(this, 'waiting', Date.now() + pause);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.open(), pause);
  }
}
