import { NgTemplateOutlet } from '@angular/common';
import {
  ChangeDetectionStrategy,
  Component,
  contentChild,
  ElementRef,
  inject,
  input,
  output,
  signal,
  TemplateRef,
} from '@angular/core';

let count = 0;
const PAUSE_MS = 150;

/** A text field that proposes what can be chosen: a combobox as ARIA describes it. */
@Component({
  selector: 'mr-picker',
  imports: [NgTemplateOutlet],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<div class="picker" (focusout)="left($event)">
    <input
      type="text"
      role="combobox"
      autocomplete="off"
      spellcheck="false"
      aria-autocomplete="list"
      [attr.aria-expanded]="isOpen()"
      [attr.aria-controls]="id"
      [attr.aria-activedescendant]="isOpen() && options().length ? id + '-' + active() : null"
      [placeholder]="placeholder()"
      [value]="text()"
      (input)="typed(field.value)"
      (focus)="look('')"
      (click)="look('')"
      (keydown)="key($event)"
      #field
    />
    <div
      class="picker-list"
      role="listbox"
      [id]="id"
      [attr.aria-label]="label()"
      [hidden]="!isOpen()"
    >
      @for (option of options(); track $index) {
        <div
          class="picker-option"
          role="option"
          [id]="id + '-' + $index"
          [attr.aria-selected]="$index === active()"
          [attr.aria-disabled]="isDisabled()(option) || null"
          (mousedown)="$event.preventDefault()"
          (click)="choose(option)"
          (mousemove)="active.set($index)"
        >
          <ng-container
            [ngTemplateOutlet]="template()"
            [ngTemplateOutletContext]="{ $implicit: option }"
          />
        </div>
      }
    </div>
    @if (isOpen() && options().length === 0) {
      <div class="picker-list picker-none" role="status">Nothing fits “{{ text() }}”</div>
    }
  </div>`,
})
export class Picker<T> {
  readonly label = input.required<string>();
  readonly placeholder = input('');
  readonly search = input.required<(text: string) => Promise<readonly T[]>>();
  /** The text of what is chosen; empty to start anew after each choice. */
  readonly textOf = input<(option: T) => string>(() => '');
  readonly isDisabled = input<(option: T) => boolean>(() => false);
  readonly chosen = output<T>();
  /** The text was changed: what was chosen is chosen no more. */
  readonly cleared = output();

  protected readonly id = `picker-${++count}`;
  protected readonly text = signal('');
  protected readonly isOpen = signal(false);
  protected readonly options = signal<readonly T[]>([]);
  protected readonly active = signal(0);
  protected readonly template = contentChild.required<TemplateRef<{ $implicit: T }>>(TemplateRef);
  private readonly host = inject<ElementRef<HTMLElement>>(ElementRef);
  private timer: ReturnType<typeof setTimeout> | undefined;
  private turn = 0;

  protected typed(text: string): void {
    this.text.set(text);
    this.cleared.emit();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.look(text), PAUSE_MS);
  }

  protected async look(text: string): Promise<void> {
    const turn = ++this.turn;
    const found = await this.search()(text.trim()).catch(() => []);
    // An answer that was overtaken by a later question is dropped.
    if (turn !== this.turn || !this.host.nativeElement.contains(document.activeElement)) return;
    this.options.set(found);
    this.active.set(0);
    this.isOpen.set(true);
  }

  protected key(event: KeyboardEvent): void {
    const options = this.options();
    if (event.key === 'Escape' && this.isOpen()) {
      event.preventDefault();
      this.close();
    } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      if (!this.isOpen()) return void this.look('');
      const step = event.key === 'ArrowDown' ? 1 : -1;
      this.active.update((index) => (index + step + options.length) % Math.max(1, options.length));
      const option = document.getElementById(`${this.id}-${this.active()}`);
      option?.scrollIntoView({ block: 'nearest' });
    } else if (event.key === 'Enter' && this.isOpen()) {
      event.preventDefault();
      const option = options[this.active()];
      if (option) this.choose(option);
    }
  }

  protected choose(option: T): void {
    if (this.isDisabled()(option)) return;
    this.text.set(this.textOf()(option));
    this.close();
    this.chosen.emit(option);
  }

  protected left(event: FocusEvent): void {
    if (!this.host.nativeElement.contains(event.relatedTarget as Node | null)) this.close();
  }

  private close(): void {
    this.turn += 1;
    clearTimeout(this.timer);
    this.isOpen.set(false);
  }
}
