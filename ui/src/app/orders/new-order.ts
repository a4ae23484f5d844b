import {
  ChangeDetectionStrategy,
  Component,
  computed,
  effect,
  inject,
  signal,
  untracked,
} from '@angular/core';
import { RouterLink } from '@angular/router';

import { Api, newKey } from '../api/api';
import { sum } from '../api/money';
import { Problem } from '../api/problem';
import type { Customer, NewOrder, Product, ShortagePolicy, StockLevel } from '../api/schema';
import { StockStream } from '../live/stock-stream';
import { Field } from '../parts/field';
import { Icon } from '../parts/icon';
import { Picker } from '../parts/picker';
import { CountPipe, MoneyPipe } from '../parts/shown';
import { Trouble } from '../parts/states';
import { Follow } from './follow';

interface Line {
  product: Product;
  quantity: number;
}

/** The test cards of the built-in provider: what each makes happen. */
const CARDS: readonly (readonly [string, string])[] = [
  ['approve', 'Card that is approved'],
  ['decline', 'Card that is declined'],
  ['slow', 'Card with a slow bank'],
  ['unknown_approved', 'Answer is lost, money was held'],
  ['unknown_declined', 'Answer is lost, money was not held'],
];

const POLICIES: readonly (readonly [ShortagePolicy, string])[] = [
  ['reject', 'Reject the order'],
  ['allow_partial', 'Send what is there, drop the rest'],
  ['backorder', 'Send what is there, the rest later'],
  ['ask', 'Ask me'],
];

@Component({
  selector: 'mr-new-order',
  imports: [CountPipe, Field, Follow, Icon, MoneyPipe, Picker, RouterLink, Trouble],
  changeDetection: ChangeDetectionStrategy.OnPush,
  templateUrl: './new-order.html',
})
export class NewOrderPage {
  private readonly api = inject(Api);
  private readonly stock = inject(StockStream);

  protected readonly cards = CARDS;
  protected readonly policies = POLICIES;
  protected readonly customer = signal<Customer | null>(null);
  protected readonly lines = signal<readonly Line[]>([]);
  protected readonly policy = signal<ShortagePolicy>('reject');
  protected readonly method = signal('simulated');
  protected readonly token = signal('approve');
  protected readonly isBusy = signal(false);
  protected readonly isTried = signal(false);
  protected readonly problem = signal<Problem | null>(null);
  protected readonly placed = signal<string | null>(null);
  private readonly levels = signal<ReadonlyMap<string, ReadonlyMap<string, StockLevel>>>(new Map());

  /** One key for one order: sending the same again, after no answer came, places it once. */
  private key = newKey();
  private sent = '';

  protected readonly total = computed(() =>
    sum(this.lines().map(({ product, quantity }) => ({ price: product.price, quantity }))),
  );
  protected readonly units = computed(() =>
    this.lines().reduce((units, line) => units + line.quantity, 0),
  );
  private readonly skus = computed(() => this.lines().map((line) => line.product.sku), {
    equal: (one, other) => one.join() === other.join(),
  });

  constructor() {
    effect((onCleanup) => {
      const skus = this.skus();
      if (skus.length === 0) return;
      untracked(() => {
        for (const sku of skus) void this.read(sku);
        const stop = this.stock.listen({
          skus,
          changed: (levels) => levels.forEach((level) => this.take(level)),
          reload: () => skus.forEach((sku) => void this.read(sku)),
        });
        onCleanup(stop);
      });
    });
  }

  protected readonly findCustomers = async (q: string): Promise<Customer[]> =>
    (await this.api.call('listCustomers', { query: { q, limit: 8 } })).items;

  protected readonly findProducts = async (q: string): Promise<Product[]> => {
    const query = { q, status: 'active', limit: 8 };
    return (await this.api.call('listProducts', { query })).items;
  };

  protected readonly nameOf = (customer: Customer): string =>
    `${customer.name} (${customer.customerId})`;
  protected readonly isBlocked = (customer: Customer): boolean => customer.blocked;

  protected available(sku: string): number | null {
    const levels = this.levels().get(sku);
    if (!levels) return null;
    return [...levels.values()].reduce((units, level) => units + level.available, 0);
  }

  protected isShort(line: Line): boolean {
    const available = this.available(line.product.sku);
    return available !== null && available < line.quantity;
  }

  protected lineTotal({ product, quantity }: Line) {
    return sum([{ price: product.price, quantity }]);
  }

  protected add(product: Product): void {
    this.lines.update((lines) => {
      const known = lines.some((line) => line.product.sku === product.sku);
      if (!known) return [...lines, { product, quantity: 1 }];
      return lines.map((line) =>
        line.product.sku === product.sku ? { ...line, quantity: line.quantity + 1 } : line,
      );
    });
  }

  protected setQuantity(sku: string, quantity: number): void {
    const whole = Number.isFinite(quantity) ? Math.trunc(quantity) : 0;
    this.lines.update((lines) =>
      lines.map((line) => (line.product.sku === sku ? { ...line, quantity: whole } : line)),
    );
  }

  protected remove(sku: string): void {
    this.lines.update((lines) => lines.filter((line) => line.product.sku !== sku));
  }

  protected error(pointer: string): string | null {
    return this.problem()?.errors.find((error) => error.pointer === pointer)?.detail ?? null;
  }

  protected customerError(): string | null {
    if (this.isTried() && !this.customer()) return 'Choose who orders.';
    return this.error('/customerId');
  }

  protected lineError(index: number): string | null {
    const place = `/lines/${index}/`;
    return this.problem()?.errors.find((one) => one.pointer.startsWith(place))?.detail ?? null;
  }

  protected async place(): Promise<void> {
    const customer = this.customer();
    this.isTried.set(true);
    const total = this.total();
    if (this.isBusy() || !customer || !total) return;
    const isCard = this.method() === 'simulated';
    const body: NewOrder = {
      customerId: customer.customerId,
      lines: this.lines().map(({ product, quantity }) => ({ sku: product.sku, quantity })),
      total,
      policy: this.policy(),
      payment: { method: this.method(), token: isCard ? this.token() : '' },
      channel: 'ui',
    };
    const text = JSON.stringify(body);
    if (this.sent && this.sent !== text) this.key = newKey();
    this.sent = text;
    this.isBusy.set(true);
    this.problem.set(null);
    try {
      const order = await this.api.call('placeOrder', { body, key: this.key });
      this.placed.set(order.orderId);
    } catch (error) {
      this.problem.set(Problem.of(error));
    } finally {
      this.isBusy.set(false);
    }
  }

  protected again(): void {
    this.key = newKey();
    this.sent = '';
    this.placed.set(null);
    this.problem.set(null);
    this.isTried.set(false);
    this.lines.set([]);
    this.customer.set(null);
  }

  private async read(sku: string): Promise<void> {
    try {
      const stock = await this.api.call('getStock', { path: { sku } });
      if ('levels' in stock) stock.levels.forEach((level) => this.take(level));
    } catch (error) {
      // A product that nobody has ever received has no level: nothing is available.
      if (Problem.of(error).status === 404) {
        this.levels.update((all) => new Map(all).set(sku, new Map()));
      }
    }
  }

  private take(level: StockLevel): void {
    this.levels.update((all) => {
      const known = all.get(level.sku);
      const place = level.location ?? '';
      const old = known?.get(place);
      if (old && old.version >= level.version) return all;
      return new Map(all).set(level.sku, new Map(known).set(place, level));
    });
  }
}
