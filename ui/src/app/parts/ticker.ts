import {
  ChangeDetectionStrategy,
  Component,
  computed,
  effect,
  ElementRef,
  inject,
  input,
} from '@angular/core';

const numbers = new Intl.NumberFormat();

/** A number that flashes once when it changes, and moves nothing. */
@Component({
  selector: 'mr-ticker',
  changeDetection: ChangeDetectionStrategy.OnPush,
  host: { class: 'flash-value numeric' },
  template: `{{ text() }}`,
})
export class Ticker {
  readonly value = input.required<number>();
  protected readonly text = computed(() => numbers.format(this.value()));

  constructor() {
    const host = inject<ElementRef<HTMLElement>>(ElementRef).nativeElement;
    let last: number | undefined;
    effect(() => {
      const value = this.value();
      if (last !== undefined && last !== value) {
        // Taken away and put back, the animation begins anew.
        host.classList.remove('flash');
        void host.offsetWidth;
        host.classList.add('flash');
      }
      last = value;
    });
  }
}
