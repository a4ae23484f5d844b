import { ChangeDetectionStrategy, Component, computed, inject, input, output } from '@angular/core';

import { Api } from '../api/api';
import type { Address, Customer } from '../api/schema';
import { Box } from '../parts/box';
import { Conflict } from '../parts/conflict';
import { Edit } from '../parts/edit';
import { Field } from '../parts/field';
import { Trouble } from '../parts/states';

type CustomerDraft = {
  customerId: string;
  name: string;
  email: string;
  phone: string;
  limit: string;
  currency: string;
};

const LABELS = {
  customerId: 'Id',
  name: 'Name',
  email: 'E-mail',
  phone: 'Phone',
  limit: 'Credit limit',
  currency: 'Currency',
} as const;

const NOTHING: CustomerDraft = {
  customerId: '',
  name: '',
  email: '',
  phone: '',
  limit: '',
  currency: 'USD',
};

/** Makes a customer, or changes one under its version. */
@Component({
  selector: 'mr-customer-form',
  imports: [Box, Conflict, Field, Trouble],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<mr-box [title]="title()" (closed)="closed.emit()">
    <form class="form" (submit)="$event.preventDefault(); save()" novalidate>
      @let draft = edit.draft();
      @if (!customerId()) {
        <mr-field
          label="Id"
          hint="Never changes, such as OMS-Cust-011."
          [error]="edit.error('/customerId')"
        >
          <input [value]="draft.customerId" (input)="edit.set('customerId', key.value)" #key />
        </mr-field>
      }
      <mr-field label="Name" [error]="edit.error('/name')">
        <input [value]="draft.name" (input)="edit.set('name', name.value)" #name />
      </mr-field>
      <div class="form-row">
        <mr-field label="E-mail" [optional]="true" [error]="edit.error('/email')">
          <input type="email" [value]="draft.email" (input)="edit.set('email', mail.value)" #mail />
        </mr-field>
        <mr-field label="Phone" [optional]="true" [error]="edit.error('/phone')">
          <input type="tel" [value]="draft.phone" (input)="edit.set('phone', phone.value)" #phone />
        </mr-field>
      </div>
      <div class="form-row">
        <mr-field
          label="Credit limit"
          hint="What all open orders together may come to. Empty: no limit."
          [optional]="true"
          [error]="edit.error('/creditLimit/amount', '/creditLimit')"
        >
          <input
            inputmode="decimal"
            [value]="draft.limit"
            (input)="edit.set('limit', limit.value)"
            #limit
          />
        </mr-field>
        <mr-field label="Currency" [error]="edit.error('/creditLimit/currency')">
          <input
            maxlength="3"
            [value]="draft.currency"
            (input)="edit.set('currency', currency.value)"
            #currency
          />
        </mr-field>
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
export class CustomerForm {
  /** The customer to change; a new one if not given. */
  readonly customerId = input<string | null>(null);
  readonly closed = output();
  readonly saved = output<Customer>();
  private readonly api = inject(Api);
  /** The form does not show the addresses, and must not lose them. */
  private addresses: Address[] = [];
  protected readonly title = computed(() =>
    this.customerId() ? `Edit ${this.customerId()}` : 'New customer',
  );

  protected readonly edit = new Edit<Customer, CustomerDraft>(
    {
      labels: LABELS,
      draftOf: (customer) => {
        this.addresses = customer.addresses;
        return {
          customerId: customer.customerId,
          name: customer.name,
          email: customer.email ?? '',
          phone: customer.phone ?? '',
          limit: customer.creditLimit?.amount ?? '',
          currency: customer.creditLimit?.currency ?? 'USD',
        };
      },
      read: () => this.api.ask('getCustomer', { path: { customerId: this.customerId() ?? '' } }),
      save: ({ customerId, name, email, phone, limit, currency }, ifMatch, key) => {
        const body = {
          name,
          email: email || null,
          phone: phone || null,
          addresses: this.addresses,
          creditLimit: limit ? { amount: limit, currency: currency.toUpperCase() } : null,
        };
        const known = this.customerId();
        if (!known) return this.api.ask('createCustomer', { body: { customerId, ...body }, key });
        return this.api.ask('updateCustomer', {
          path: { customerId: known },
          body,
          ifMatch,
          key,
        });
      },
    },
    NOTHING,
  );

  ngOnInit(): void {
    if (this.customerId()) void this.edit.start();
    else this.edit.isReady.set(true);
  }

  protected async save(): Promise<void> {
    const customer = await this.edit.save();
    if (customer) this.saved.emit(customer);
  }
}
