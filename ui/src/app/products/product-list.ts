import {
  ChangeDetectionStrategy,
  Component,
  inject,
  input,
  linkedSignal,
  signal,
} from '@angular/core';
import { Router, RouterLink } from '@angular/router';

import { Api } from '../api/api';
import type { Product } from '../api/schema';
import { Icon } from '../parts/icon';
import { listing } from '../parts/reading';
import { MoneyPipe, Status, When } from '../parts/shown';
import { Empty, Loading, Trouble } from '../parts/states';
import { Toasts } from '../parts/toasts';
import { ProductForm } from './product-form';

@Component({
  selector: 'mr-product-list',
  imports: [Empty, Icon, Loading, MoneyPipe, ProductForm, RouterLink, Status, Trouble, When],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<div class="page">
    <header class="page-head">
      <div>
        <h1 tabindex="-1">Products</h1>
        <p>What can be ordered, and at which price</p>
      </div>
      <div class="actions">
        <button type="button" class="button primary" (click)="open.set('')">
          <mr-icon name="plus" />New product
        </button>
      </div>
    </header>

    <div class="filters">
      <div class="search">
        <mr-icon name="search" />
        <input
          type="search"
          aria-label="Search by name or SKU"
          placeholder="Name or SKU"
          [value]="text()"
          (input)="text.set(search.value); set({ q: search.value.trim() || null })"
          #search
        />
      </div>
      <div class="segments" role="group" aria-label="Which products">
        <button type="button" [attr.aria-pressed]="!status()" (click)="set({ status: null })">
          All
        </button>
        <button
          type="button"
          [attr.aria-pressed]="status() === 'active'"
          (click)="set({ status: 'active' })"
        >
          Active
        </button>
        <button
          type="button"
          [attr.aria-pressed]="status() === 'retired'"
          (click)="set({ status: 'retired' })"
        >
          Retired
        </button>
      </div>
    </div>

    @if (list.problem(); as problem) {
      <mr-trouble [problem]="problem" (retry)="list.reload()" />
    }
    <section class="card" aria-label="Products">
      @if (list.isFirst()) {
        <mr-loading />
      } @else if (list.items().length === 0 && !list.problem()) {
        <mr-empty icon="products" [title]="q() || status() ? 'Nothing fits' : 'No products yet'">
          {{
            q() || status()
              ? 'No product fits this search.'
              : 'Make the first one, and it can be ordered at once.'
          }}
        </mr-empty>
      } @else {
        <table>
          <thead>
            <tr>
              <th scope="col">Product</th>
              <th scope="col" class="wide">SKU</th>
              <th scope="col" class="number">Price</th>
              <th scope="col" class="wide">State</th>
              <th scope="col" class="number wide">Changed</th>
              <th scope="col"><span class="hidden-visually">Edit</span></th>
            </tr>
          </thead>
          <tbody>
            @for (product of list.items(); track product.sku) {
              <tr>
                <td>
                  <div class="cell-title">{{ product.name }}</div>
                  <div class="cell-sub narrow">
                    {{ product.sku }}{{ product.status === 'retired' ? ' · retired' : '' }}
                  </div>
                </td>
                <td class="wide">
                  <a [routerLink]="['/stock', product.sku]">{{ product.sku }}</a>
                </td>
                <td class="number">{{ product.price | money }}</td>
                <td class="wide"><mr-status [word]="product.status" /></td>
                <td class="number wide faint"><mr-when [at]="product.updatedAt" /></td>
                <td class="number">
                  <button
                    type="button"
                    class="icon-button plain"
                    [attr.aria-label]="'Edit ' + product.name"
                    (click)="open.set(product.sku)"
                  >
                    <mr-icon name="edit" />
                  </button>
                </td>
              </tr>
            }
          </tbody>
        </table>
        @if (list.hasMore()) {
          <div class="more">
            <button type="button" class="button" (click)="list.more()">Show more</button>
          </div>
        }
      }
    </section>

    @if (open() !== null) {
      <mr-product-form [sku]="open() || null" (closed)="open.set(null)" (saved)="saved($event)" />
    }
  </div>`,
})
export class ProductList {
  private readonly api = inject(Api);
  private readonly router = inject(Router);
  private readonly toasts = inject(Toasts);
  readonly q = input<string | undefined>();
  readonly status = input<string | undefined>();
  protected readonly text = linkedSignal(() => this.q() ?? '');
  /** The SKU whose form is open; empty for a new product. */
  protected readonly open = signal<string | null>(null);

  protected readonly list = listing((cursor, signal) =>
    this.api.call('listProducts', {
      query: {
        q: this.q() ?? '',
        status: this.status() ?? '',
        limit: 100,
        ...(cursor ? { cursor } : {}),
      },
      signal,
    }),
  );

  protected set(filter: Record<string, string | null>): void {
    void this.router.navigate([], {
      queryParams: filter,
      queryParamsHandling: 'merge',
      replaceUrl: true,
    });
  }

  protected saved(product: Product): void {
    this.toasts.say(`${product.name} is saved.`);
    this.open.set(null);
    this.list.reload();
  }
}
