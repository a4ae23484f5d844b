import { ChangeDetectionStrategy, Component, computed, inject, input, Pipe } from '@angular/core';
import type { PipeTransform } from '@angular/core';

import { formatMoney } from '../api/money';
import type { Money } from '../api/schema';
import { ago, exact } from '../api/time';
import { toneOf, wording } from '../api/words';
import { Clock } from '../live/clock';

/** A state: its word, and a colour that repeats it. */
@Component({
  selector: 'mr-status',
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<span class="badge" [class]="tone()">{{ text() }}</span>`,
})
export class Status {
  readonly word = input.required<string>();
  protected readonly tone = computed(() => toneOf(this.word()));
  protected readonly text = computed(() => wording(this.word()));
}

/** An instant: how long ago, and in full with its zone when pointed at. */
@Component({
  selector: 'mr-when',
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<time [attr.datetime]="at()" [attr.title]="full()">{{ text() }}</time>`,
})
export class When {
  readonly at = input.required<string>();
  private readonly clock = inject(Clock);
  protected readonly text = computed(() => ago(this.at(), this.clock.now()));
  protected readonly full = computed(() => exact(this.at()));
}

/** An amount as people write it. */
@Pipe({ name: 'money' })
export class MoneyPipe implements PipeTransform {
  transform(money: Money | null | undefined): string {
    return money ? formatMoney(money) : '–';
  }
}

/** A word of the API as people read it. */
@Pipe({ name: 'wording' })
export class WordingPipe implements PipeTransform {
  transform(word: string | null | undefined): string {
    return word ? wording(word) : '';
  }
}

const numbers = new Intl.NumberFormat();

/** A whole number with separators. */
@Pipe({ name: 'count' })
export class CountPipe implements PipeTransform {
  transform(value: number | null | undefined): string {
    return value === null || value === undefined ? '–' : numbers.format(value);
  }
}
