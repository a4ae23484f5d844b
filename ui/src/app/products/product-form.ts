import { ChangeDetectionStrategy, Component, computed, inject, input, output } from '@angular/core';

import { Api } from '../api/api';
import type { Product } from '../api/schema';
import { Box } from '../parts/box';
import { Conflict } from '../parts/conflict';
import { Edit } from '../parts/edit';
import { Field } from '../parts/field';
import { Trouble } from '../parts/states';

type ProductDraft = {
  sku: string;
  name: string;
  description: string;
  amount: string;
  currency: string;
  status: string;
};

const LABELS = {
  sku: 'SKU',
  name: 'Name',
  description: 'Description',
  amount: 'Price',
  currency: 'Currency',
  status: 'State',
} as const;

const NOTHING: ProductDraft = {
  sku: '',
  name: '',
  description: '',
  amount: '',
  currency: 'USD',
  status: 'active',
};

/** Makes a product, or changes one under its version. */
@Component({
  selector: 'mr-product-form',
  imports: [Box, Conflict, Field, Trouble],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<mr-box [title]="title()" (closed)="closed.emit()">
    <form class="form" (submit)="$event.preventDefault(); save()" novalidate>
      @let draft = edit.draft();
      @if (!sku()) {
        <mr-field label="SKU" hint="Never changes." [error]="edit.error('/sku')">
          <input [value]="draft.sku" (input)="edit.set('sku', key.value)" #key />
        </mr-field>
      }
      <mr-field label="Name" [error]="edit.error('/name')">
        <input [value]="draft.name" (input)="edit.set('name', name.value)" #name />
      </mr-field>
      <mr-field label="Description" [optional]="true" [error]="edit.error('/description')">
        <textarea
          [value]="draft.description"
          (input)="edit.set('description', text.value)"
          #text
        ></textarea>
      </mr-field>
      <div class="form-row">
        <mr-field label="Price" [error]="edit.error('/price/amount', '/price')">
          <input
            inputmode="decimal"
            placeholder="19.99"
            [value]="draft.amount"
            (input)="edit.set('amount', amount.value)"
            #amount
          />
        </mr-field>
        <mr-field label="Currency" [error]="edit.error('/price/currency')">
          <input
            maxlength="3"
            [value]="draft.currency"
            (input)="edit.set('currency', currency.value)"
            #currency
          />
        </mr-field>
        @if (sku()) {
          <mr-field label="State" [error]="edit.error('/status')">
            <select [value]="draft.status" (change)="edit.set('status', status.value)" #status>
              <option value="active" [selected]="draft.status === 'active'">Active</option>
              <option value="retired" [selected]="draft.status === 'retired'">Retired</option>
            </select>
          </mr-field>
        }
      </div>
      @if (edit.conflict(); as clashes) {
        <mr-conflict [clashes]="clashes" [(keepTheirs)]="edit.keepTheirs" />
      }
      @if (edit.problem(); as problem) {
        @if (problem.errors.length === 0) {
          <mr-trouble [problem]="problem" [canRetry]="false" />
        }
      }
      <div class="box-foot">
        <button type="button" class="button" (click)="closed.emit()">Back</button>
        <button type="submit" class="button primary" [disabled]="edit.isStopped()">Save</button>
      </div>
    </form>
  </mr-box>`,
})
export class ProductForm {
  /** The product to change; a new one if not given. */
  readonly sku = input<string | null>(null);
  readonly closed = output();
  readonly saved = output<Product>();
  private readonly api = inject(Api);
  protected readonly title = computed(() => (this.sku() ? `Edit ${this.sku()}` : 'New product'));

  protected readonly edit = new Edit<Product, ProductDraft>(
    {
      labels: LABELS,
      draftOf: (product) => ({
        sku: product.sku,
        name: product.name,
        description: product.description,
        amount: product.price.amount,
        currency: product.price.currency,
        status: product.status,
      }),
      read: () => this.api.ask('getProduct', { path: { sku: this.sku() ?? '' } }),
      save: ({ sku, name, description, amount, currency, status }, ifMatch, key) => {
        const body = { name, description, price: { amount, currency: currency.toUpperCase() } };
        const known = this.sku();
        if (!known) return this.api.ask('createProduct', { body: { sku, ...body }, key });
        return this.api.ask('updateProduct', {
          path: { sku: known },
          body: { ...body, status: status as Product['status'] },
          ifMatch,
          key,
        });
      },
    },
    NOTHING,
  );

  ngOnInit(): void {
    if (this.sku()) void this.edit.start();
    else this.edit.isReady.set(true);
  }

  protected async save(): Promise<void> {
    const product = await this.edit.save();
    if (product) this.saved.emit(product);
  }
}
