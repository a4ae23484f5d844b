import {
  ChangeDetectionStrategy,
  Component,
  computed,
  inject,
  input,
  linkedSignal,
  output,
  signal,
} from '@angular/core';

import { Api, newKey } from '../api/api';
import { Problem } from '../api/problem';
import type { Order } from '../api/schema';
import { Box } from '../parts/box';
import { Field } from '../parts/field';
import { Trouble } from '../parts/states';

export type ActionName = 'cancel' | 'ship' | 'hold' | 'resume' | 'decide' | 'settle';

interface Wording {
  title: string;
  text: string;
  button: string;
  isDangerous?: boolean;
}

const WORDINGS: Readonly<Record<ActionName, Wording>> = {
  cancel: {
    title: 'Cancel the order',
    text: 'Stock is released and money goes back, each once. This cannot be undone.',
    button: 'Cancel the order',
    isDangerous: true,
  },
  ship: {
    title: 'Dispatch',
    text: 'Every unit that is allocated leaves now.',
    button: 'Dispatch',
  },
  hold: {
    title: 'Put on hold',
    text: 'The order stops where it is until somebody lets it go on.',
    button: 'Put on hold',
  },
  resume: { title: 'Resume', text: 'The order goes on where it stopped.', button: 'Resume' },
  decide: {
    title: 'Decide about the shortage',
    text: 'Only a part is in stock. Go on with what there is, or give the order up.',
    button: 'Decide',
  },
  settle: {
    title: 'Settle what cannot go on',
    text: 'Retry tries the step again, skip leaves it out, force takes it as done.',
    button: 'Settle',
  },
};

const DECISIONS = [
  ['accept', 'Go on with what is in stock'],
  ['amend', 'Change the quantities'],
  ['cancel', 'Give the order up'],
] as const;

const SETTLEMENTS = [
  ['retry', 'Retry the step'],
  ['skip', 'Skip the step'],
  ['force', 'Take the step as done'],
] as const;

/** Asks for confirmation and a reason, and does one thing to an order. */
@Component({
  selector: 'mr-order-action',
  imports: [Box, Field, Trouble],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<mr-box [title]="wording().title" (closed)="closed.emit()">
    <p class="muted">{{ wording().text }}</p>
    <form class="form" (submit)="$event.preventDefault(); go()">
      @if (name() === 'decide' || name() === 'settle') {
        <mr-field label="What to do">
          <select (change)="choice.set(pick.value)" #pick>
            @for (option of choices(); track option[0]) {
              <option [value]="option[0]">{{ option[1] }}</option>
            }
          </select>
        </mr-field>
      }
      @if (choice() === 'amend') {
        @for (line of order().lines; track line.line) {
          <mr-field
            [label]="line.name || line.sku"
            [hint]="line.held + ' of ' + line.quantity + ' are in stock'"
            [error]="error('/lines/' + $index + '/quantity')"
          >
            <input
              type="number"
              min="0"
              [max]="line.quantity"
              [value]="units().get(line.line) ?? line.held"
              (input)="setUnits(line.line, wanted.valueAsNumber)"
              #wanted
            />
          </mr-field>
        }
      }
      @if (name() === 'ship') {
        <div class="form-row">
          <mr-field label="Carrier" [optional]="true" [error]="error('/carrier')">
            <input [value]="carrier()" (input)="carrier.set(by.value)" #by />
          </mr-field>
          <mr-field label="Tracking number" [optional]="true" [error]="error('/tracking')">
            <input [value]="tracking()" (input)="tracking.set(number.value)" #number />
          </mr-field>
        </div>
      } @else if (name() !== 'resume') {
        <mr-field
          label="Reason"
          hint="Kept with the order."
          [optional]="choice() === 'accept' || choice() === 'amend'"
          [error]="error('/reason')"
        >
          <textarea [value]="reason()" (input)="reason.set(why.value)" #why></textarea>
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
          [class]="wording().isDangerous ? 'danger' : 'primary'"
          [disabled]="isBusy()"
        >
          {{ wording().button }}
        </button>
      </div>
    </form>
  </mr-box>`,
})
export class OrderAction {
  readonly name = input.required<ActionName>();
  readonly order = input.required<Order>();
  readonly closed = output();
  readonly done = output<Order>();
  private readonly api = inject(Api);
  /** One key for one intention: pressing twice does it once. */
  private readonly key = newKey();

  protected readonly wording = computed(() => WORDINGS[this.name()]);
  protected readonly choices = computed(() => {
    const next = this.order().nextActions;
    const all = this.name() === 'decide' ? DECISIONS : SETTLEMENTS;
    return all.filter(([word]) => next.includes(word));
  });
  protected readonly choice = linkedSignal<string>(() => this.choices()[0]?.[0] ?? '');
  protected readonly units = signal<ReadonlyMap<number, number>>(new Map());
  protected readonly reason = signal('');
  protected readonly carrier = signal('');
  protected readonly tracking = signal('');
  protected readonly isBusy = signal(false);
  protected readonly problem = signal<Problem | null>(null);

  protected setUnits(line: number, units: number): void {
    this.units.update((all) => new Map(all).set(line, Number.isInteger(units) ? units : 0));
  }

  protected error(pointer: string): string | null {
    return this.problem()?.errors.find((error) => error.pointer === pointer)?.detail ?? null;
  }

  protected async go(): Promise<void> {
    if (this.isBusy()) return;
    this.isBusy.set(true);
    try {
      this.done.emit(await this.send());
    } catch (error) {
      this.problem.set(Problem.of(error));
    } finally {
      this.isBusy.set(false);
    }
  }

  private async send(): Promise<Order> {
    const { orderId } = this.order();
    const sending = { path: { orderId }, key: this.key };
    const reason = this.reason().trim();
    switch (this.name()) {
      case 'cancel':
        return this.api.call('cancelOrder', { ...sending, body: { reason } });
      case 'hold':
        return this.api.call('holdOrder', { ...sending, body: { reason } });
      case 'resume':
        return this.api.call('resumeOrder', sending);
      case 'ship': {
        const body = { carrier: this.carrier() || null, tracking: this.tracking() || null };
        return (await this.api.call('createShipment', { ...sending, body })).order;
      }
      case 'decide': {
        const action = this.choice() as 'accept' | 'amend' | 'cancel';
        const lines = this.order().lines.map(({ line, held }) => ({
          line,
          quantity: this.units().get(line) ?? held,
        }));
        return this.api.call('decideOrder', {
          ...sending,
          body: { action, reason: reason || null, ...(action === 'amend' ? { lines } : {}) },
        });
      }
      case 'settle': {
        const action = this.choice() as 'retry' | 'skip' | 'force';
        return this.api.call('resolveAttention', { ...sending, body: { action, reason } });
      }
    }
  }
}
