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
import type { StockLevel } from '../api/schema';
import { Box } from '../parts/box';
import { Field } from '../parts/field';
import { CountPipe } from '../parts/shown';
import { Trouble } from '../parts/states';
import { Toasts } from '../parts/toasts';

export type StockActionKind = 'receive' | 'adjust' | 'set';

const TITLES: Readonly<Record<StockActionKind, string>> = {
  receive: 'Receive units',
  adjust: 'Adjust stock',
  set: 'Set the counted number',
};

/** Changes stock, with a reason. */
@Component({
  selector: 'mr-stock-action',
  imports: [Box, CountPipe, Field, Trouble],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<mr-box [title]="title()" (closed)="closed.emit()">
    <form class="form" (submit)="$event.preventDefault(); go()" novalidate>
      @if (!level()) {
        <mr-field label="SKU" hint="It may be new." [error]="error('/sku')">
          <input [value]="sku()" (input)="sku.set(unit.value.trim())" #unit />
        </mr-field>
      }
      <div class="form-row">
        <mr-field
          [label]="kind() === 'receive' ? 'Units' : kind() === 'adjust' ? 'Difference' : 'Counted'"
          [hint]="hint()"
          [error]="error('/quantity') || error('/delta') || error('/new')"
        >
          <input
            type="number"
            step="1"
            inputmode="numeric"
            [value]="units()"
            (input)="units.set(number.value)"
            #number
          />
        </mr-field>
        @if (kind() === 'receive') {
          <mr-field label="Document" [optional]="true" [error]="error('/document')">
            <input
              placeholder="delivery note 4711"
              [value]="paper()"
              (input)="paper.set(note.value)"
              #note
            />
          </mr-field>
        }
      </div>
      <mr-field
        label="Reason"
        hint="Kept in the journal for ever."
        [optional]="kind() === 'receive'"
        [error]="error('/reason')"
      >
        <input [value]="reason()" (input)="reason.set(why.value)" #why />
      </mr-field>
      @if (conflict(); as now) {
        <div class="conflict" role="alert">
          <p>
            The shelf held {{ expected() | count }} units when you looked, and holds
            {{ now.onHand | count }} now. Somebody has changed it in between. Count again, or set
            your number all the same.
          </p>
          <button type="button" class="button" (click)="takeOver(now)">
            Set it, knowing that it holds {{ now.onHand | count }}
          </button>
        </div>
      } @else if (problem()) {
        @if (problem()!.errors.length === 0) {
          <mr-trouble [problem]="problem()!" [canRetry]="false" />
        }
      }
      <div class="box-foot">
        <button type="button" class="button" (click)="closed.emit()">Back</button>
        <button type="submit" class="button primary" [disabled]="isBusy()">{{ title() }}</button>
      </div>
    </form>
  </mr-box>`,
})
export class StockAction {
  readonly kind = input.required<StockActionKind>();
  readonly level = input<StockLevel | null>(null);
  readonly closed = output();
  readonly done = output();
  private readonly api = inject(Api);
  private readonly toasts = inject(Toasts);
  private key = newKey();

  protected readonly title = computed(() => TITLES[this.kind()]);
  protected readonly sku = linkedSignal(() => this.level()?.sku ?? '');
  protected readonly units = signal('');
  protected readonly reason = signal('');
  protected readonly paper = signal('');
  protected readonly isBusy = signal(false);
  protected readonly problem = signal<Problem | null>(null);
  protected readonly conflict = signal<StockLevel | null>(null);
  /** What the shelf held when the dialog was opened; live changes must not move it unseen. */
  private opened: number | null = null;

  protected expected(): number {
    this.opened ??= this.level()?.onHand ?? 0;
    return this.opened;
  }

  protected hint(): string {
    if (this.kind() === 'adjust') return 'Below zero takes away, such as -2.';
    return this.kind() === 'set' ? `The shelf holds ${this.expected()} by the books.` : '';
  }

  protected error(pointer: string): string | null {
    return this.problem()?.errors.find((one) => one.pointer === pointer)?.detail ?? null;
  }

  protected takeOver(now: StockLevel): void {
    this.opened = now.onHand;
    this.conflict.set(null);
    this.key = newKey();
    void this.go();
  }

  protected async go(): Promise<void> {
    if (this.isBusy()) return;
    this.isBusy.set(true);
    this.problem.set(null);
    try {
      const { level } = await this.send();
      this.toasts.say(`${level.sku}: ${level.onHand} on hand, ${level.available} available.`);
      this.done.emit();
    } catch (error) {
      const problem = Problem.of(error);
      this.problem.set(problem);
      if (problem.isConflict) await this.lookAgain();
      if (!problem.isPassing) this.key = newKey();
    } finally {
      this.isBusy.set(false);
    }
  }

  private async lookAgain(): Promise<void> {
    const stock = await this.api.call('getStock', { path: { sku: this.sku() } });
    if (!('levels' in stock)) return;
    const place = this.level()?.location;
    this.conflict.set(stock.levels.find((level) => level.location === place) ?? null);
  }

  private send() {
    const sku = this.sku();
    if (!sku) throw missing('/sku', 'Say which SKU.');
    const units = Number(this.units());
    const name = { receive: '/quantity', adjust: '/delta', set: '/new' }[this.kind()];
    if (this.units() === '' || !Number.isInteger(units)) throw missing(name, 'A whole number.');
    const location = this.level()?.location ?? null;
    const reason = this.reason().trim();
    const sending = { path: { sku }, key: this.key };
    switch (this.kind()) {
      case 'receive': {
        const body = { quantity: units, location, document: this.paper() || null, reason };
        return this.api.call('receiveStock', { ...sending, body });
      }
      case 'adjust':
        return this.api.call('adjustStock', {
          ...sending,
          body: { delta: units, location, reason },
        });
      case 'set': {
        const body = { expected: this.expected(), new: units, location, reason };
        return this.api.call('setStock', { ...sending, body });
      }
    }
  }
}

function missing(pointer: string, detail: string): Problem {
  return new Problem(422, 'invalid-request', 'A field is missing', detail, [
    { pointer, code: 'missing', detail },
  ]);
}
