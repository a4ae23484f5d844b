import {
  afterRenderEffect,
  ChangeDetectionStrategy,
  Component,
  ElementRef,
  inject,
  input,
} from '@angular/core';

let count = 0;

/** A control with its label, hint and error, tied together for readers. */
@Component({
  selector: 'mr-field',
  changeDetection: ChangeDetectionStrategy.OnPush,
  host: { class: 'field' },
  template: `<label [attr.for]="id" [class.hidden-visually]="isQuiet()"
      >{{ label() }}
      @if (isOptional()) {
        <span class="optional">optional</span>
      }
    </label>
    <ng-content />
    @if (error(); as text) {
      <span class="error-text" [id]="id + '-error'">{{ text }}</span>
    } @else if (hint()) {
      <span class="hint" [id]="id + '-hint'">{{ hint() }}</span>
    }`,
})
export class Field {
  readonly label = input.required<string>();
  readonly hint = input('');
  readonly error = input<string | null | undefined>('');
  readonly isOptional = input(false, { alias: 'optional' });
  /** The label is read out but not seen. */
  readonly isQuiet = input(false, { alias: 'quiet' });
  protected readonly id = `field-${++count}`;
  private readonly host = inject<ElementRef<HTMLElement>>(ElementRef);

  constructor() {
    afterRenderEffect(() => {
      const error = this.error();
      const hint = this.hint();
      const control = this.host.nativeElement.querySelector('input, select, textarea');
      if (!control) return;
      control.id = this.id;
      control.setAttribute('aria-invalid', String(Boolean(error)));
      const note = error ? 'error' : hint ? 'hint' : '';
      if (note) control.setAttribute('aria-describedby', `${this.id}-${note}`);
      else control.removeAttribute('aria-describedby');
    });
  }
}
