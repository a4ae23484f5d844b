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
import type { Customer } from '../api/schema';
import { Icon } from '../parts/icon';
import { listing } from '../parts/reading';
import { MoneyPipe, Status } from '../parts/shown';
import { Empty, Loading, Trouble } from '../parts/states';
import { Toasts } from '../parts/toasts';
import { BlockBox } from './block-box';
import { CustomerForm } from './customer-form';

@Component({
  selector: 'mr-customer-list',
  imports: [BlockBox, CustomerForm, Empty, Icon, Loading, MoneyPipe, RouterLink, Status, Trouble],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<div class="page">
    <header class="page-head">
      <div>
        <h1 tabindex="-1">Customers</h1>
        <p>Who orders, and up to which credit</p>
      </div>
      <div class="actions">
        <button type="button" class="button primary" (click)="open.set('')">
          <mr-icon name="plus" />New customer
        </button>
      </div>
    </header>

    <div class="filters">
      <div class="search">
        <mr-icon name="search" />
        <input
          type="search"
          aria-label="Search by name, id or e-mail"
          placeholder="Name, id or e-mail"
          [value]="text()"
          (input)="text.set(search.value); set({ q: search.value.trim() || null })"
          #search
        />
      </div>
      <div class="segments" role="group" aria-label="Which customers">
        <button type="button" [attr.aria-pressed]="!blocked()" (click)="set({ blocked: null })">
          All
        </button>
        <button
          type="button"
          [attr.aria-pressed]="blocked() === 'true'"
          (click)="set({ blocked: 'true' })"
        >
          Blocked
        </button>
      </div>
    </div>

    @if (list.problem(); as problem) {
      <mr-trouble [problem]="problem" (retry)="list.reload()" />
    }
    <section class="card" aria-label="Customers">
      @if (list.isFirst()) {
        <mr-loading />
      } @else if (list.items().length === 0 && !list.problem()) {
        <mr-empty icon="customers" [title]="q() || blocked() ? 'Nobody fits' : 'No customers yet'">
          {{
            q() || blocked()
              ? 'No customer fits this search.'
              : 'Make the first one to take orders.'
          }}
        </mr-empty>
      } @else {
        <table>
          <thead>
            <tr>
              <th scope="col">Customer</th>
              <th scope="col" class="wide">E-mail</th>
              <th scope="col" class="number wide">In open orders</th>
              <th scope="col" class="number wide">Credit limit</th>
              <th scope="col" class="wide">State</th>
              <th scope="col"><span class="hidden-visually">Actions</span></th>
            </tr>
          </thead>
          <tbody>
            @for (customer of list.items(); track customer.customerId) {
              <tr>
                <td>
                  <div class="cell-title">{{ customer.erasedAt ? 'Erased' : customer.name }}</div>
                  <a
                    class="small"
                    routerLink="/orders"
                    [queryParams]="{ customer: customer.customerId }"
                    [attr.aria-label]="'Orders of ' + customer.customerId"
                    >{{ customer.customerId }}</a
                  >
                  @if (customer.blocked) {
                    <mr-status class="narrow" word="blocked" />
                  }
                </td>
                <td class="wide muted break">{{ customer.email }}</td>
                <td class="number wide muted">{{ customer.creditReserved | money }}</td>
                <td class="number wide">{{ customer.creditLimit | money }}</td>
                <td class="wide"><mr-status [word]="customer.blocked ? 'blocked' : 'active'" /></td>
                <td class="number">
                  @if (!customer.erasedAt) {
                    <button
                      type="button"
                      class="button row-action"
                      [attr.aria-label]="(customer.blocked ? 'Unblock ' : 'Block ') + customer.name"
                      (click)="blocking.set(customer)"
                    >
                      {{ customer.blocked ? 'Unblock' : 'Block' }}
                    </button>
                    <button
                      type="button"
                      class="icon-button plain"
                      [attr.aria-label]="'Edit ' + customer.name"
                      (click)="open.set(customer.customerId)"
                    >
                      <mr-icon name="edit" />
                    </button>
                  }
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
      <mr-customer-form
        [customerId]="open() || null"
        (closed)="open.set(null)"
        (saved)="saved($event)"
      />
    }
    @if (blocking(); as customer) {
      <mr-block-box [customer]="customer" (closed)="blocking.set(null)" (done)="settled($event)" />
    }
  </div>`,
})
export class CustomerList {
  private readonly api = inject(Api);
  private readonly router = inject(Router);
  private readonly toasts = inject(Toasts);
  readonly q = input<string | undefined>();
  readonly blocked = input<string | undefined>();
  protected readonly text = linkedSignal(() => this.q() ?? '');
  /** The id whose form is open; empty for a new customer. */
  protected readonly open = signal<string | null>(null);
  protected readonly blocking = signal<Customer | null>(null);

  protected readonly list = listing((cursor, signal) =>
    this.api.call('listCustomers', {
      query: {
        q: this.q() ?? '',
        ...(this.blocked() ? { blocked: true } : {}),
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

  protected saved(customer: Customer): void {
    this.toasts.say(`${customer.name} is saved.`);
    this.open.set(null);
    this.list.reload();
  }

  protected settled(customer: Customer): void {
    this.toasts.say(`${customer.name} is ${customer.blocked ? 'blocked' : 'unblocked'}.`);
    this.blocking.set(null);
    this.list.reload();
  }
}
