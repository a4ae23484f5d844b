import {
  afterNextRender,
  ChangeDetectionStrategy,
  Component,
  ElementRef,
  inject,
  input,
  output,
  viewChild,
} from '@angular/core';

import { Icon } from './icon';

let count = 0;

/** A dialog: the browser's own, which keeps the focus inside and gives it back. */
@Component({
  selector: 'mr-box',
  imports: [Icon],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<dialog
    #dialog
    class="box"
    [attr.aria-labelledby]="id"
    (cancel)="$event.preventDefault(); closed.emit()"
    (mousedown)="outside($event)"
  >
    <div class="box-head">
      <h2 [id]="id">{{ title() }}</h2>
      <button type="button" class="icon-button plain" aria-label="Close" (click)="closed.emit()">
        <mr-icon name="close" />
      </button>
    </div>
    <div class="box-body"><ng-content /></div>
  </dialog>`,
})
export class Box {
  readonly title = input.required<string>();
  /** The person wants it gone. Whoever opened it takes it away. */
  readonly closed = output();
  protected readonly id = `box-${++count}`;
  private readonly dialog = viewChild.required<ElementRef<HTMLDialogElement>>('dialog');
  private readonly host = inject<ElementRef<HTMLElement>>(ElementRef);

  constructor() {
    const before = document.activeElement;
    afterNextRender(() => {
      this.dialog().nativeElement.showModal();
      const first = this.host.nativeElement.querySelector<HTMLElement>(
        '.box-body :is(input, select, textarea, [autofocus])',
      );
      first?.focus();
    });
    // Taking the element away closes it, but does not give the focus back.
    const close = (): void => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
    this.restore = close;
  }

  private readonly restore: () => void;

  ngOnDestroy(): void {
    this.dialog().nativeElement.close();
    this.restore();
  }

  protected outside(event: MouseEvent): void {
    const dialog = this.dialog().nativeElement;
    if (event.target !== dialog) return;
    const edge = dialog.getBoundingClientRect();
    const isInside =
      event.clientX >= edge.left &&
      event.clientX <= edge.right &&
      event.clientY >= edge.top &&
      event.clientY <= edge.bottom;
    if (!isInside) this.closed.emit();
  }
}
