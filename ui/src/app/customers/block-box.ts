import { ChangeDetectionStrategy, Component, inject, input, output, signal } from '@angular/core';

import { Api, newKey } from '../api/api';
import { Problem } from '../api/problem';
import type { Customer } from '../api/schema';
import { Box } from '../parts/box';
import { Field } from '../parts/field';
import { Trouble } from '../parts/states';

/** Blocks a customer with a reason, or lets one order again. */
@Component({
  selector: 'mr-block-box',
  imports: [Box, Field, Trouble],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<mr-box
    [title]="(customer().blocked ? 'Unblock ' : 'Block ') + customer().name"
    (closed)="closed.emit()"
  >
    <form class="form" (submit)="$event.preventDefault(); go()">
      @if (customer().blocked) {
        <p class="muted">
          Blocked because: {{ customer().blockReason }}. New orders of this customer are accepted
          again.
        </p>
      } @else {
        <p class="muted">New orders of this customer are rejected until it is unblocked.</p>
        <mr-field label="Reason" [error]="error()">
          <input [value]="reason()" (input)="reason.set(why.value)" #why />
        </mr-field>
      }
      @if (problem(); as problem) {
        @if (problem.errors.length === 0) {
          <mr-trouble [problem]="problem" [canRetry]="false" />
        }
      }
      <div class="box-foot">
        <button type="button" class="button" (click)="closed.emit()">Back</button>
        <button
          type="submit"
          class="button"
          [class]="customer().blocked ? 'primary' : 'danger'"
          [disabled]="isBusy()"
        >
          {{ customer().blocked ? 'Unblock' : 'Block' }}
        </button>
      </div>
    </form>
  </mr-box>`,
})
export class BlockBox {
  readonly customer = input.required<Customer>();
  readonly closed = output();
  readonly done = output<Customer>();
  private readonly api = inject(Api);
  private key = newKey();
  protected readonly reason = signal('');
  protected readonly isBusy = signal(false);
  protected readonly problem = signal<Problem | null>(null);

  protected error(): string | null {
    return this.problem()?.errors[0]?.detail ?? null;
  }

  protected async go(): Promise<void> {
    if (this.isBusy()) return;
    this.isBusy.set(true);
    const { customerId, blocked } = this.customer();
    const sending = { path: { customerId }, key: this.key };
    try {
      this.done.emit(
        blocked
          ? await this.api.call('unblockCustomer', sending)
          : await this.api.call('blockCustomer', { ...sending, body: { reason: this.reason() } }),
      );
    } catch (error) {
      this.problem.set(Problem.of(error));
      this.key = newKey();
    } finally {
      this.isBusy.set(false);
    }
  }
}
