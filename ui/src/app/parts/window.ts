import { NgTemplateOutlet } from '@angular/common';
import {
  afterNextRender,
  ChangeDetectionStrategy,
  Component,
  computed,
  contentChild,
  DestroyRef,
  ElementRef,
  inject,
  input,
  output,
  signal,
  TemplateRef,
} from '@angular/core';

/** Rows that are kept ready above and below what is seen. */
const MARGIN = 8;

/** The part of a long list that is seen. */
export function visible(
  scrolled: number,
  height: number,
  rowHeight: number,
  count: number,
): { from: number; to: number } {
  const from = Math.max(0, Math.floor(scrolled / rowHeight) - MARGIN);
  const to = Math.min(count, Math.ceil((scrolled + height) / rowHeight) + MARGIN);
  return { from: Math.min(from, to), to };
}

/** A long list of rows of one height, of which only those exist that are seen. */
@Component({
  selector: 'mr-window',
  imports: [NgTemplateOutlet],
  changeDetection: ChangeDetectionStrategy.OnPush,
  host: {
    class: 'window',
    role: 'rowgroup',
    '(scroll)': 'measure()',
    '(keydown)': 'move($event)',
  },
  template: `<div
    class="window-space"
    role="presentation"
    [style.height.px]="items().length * rowHeight()"
  >
    @for (row of rows(); track row.key) {
      <div
        class="window-row"
        role="row"
        [attr.aria-rowindex]="row.index + 2"
        [attr.data-index]="row.index"
        [style.height.px]="rowHeight()"
        [style.transform]="'translateY(' + row.index * rowHeight() + 'px)'"
      >
        <ng-container
          [ngTemplateOutlet]="template()"
          [ngTemplateOutletContext]="{ $implicit: row.item }"
        />
      </div>
    }
  </div>`,
})
export class Window<T> {
  readonly items = input.required<readonly T[]>();
  readonly key = input.required<(item: T) => string>();
  readonly rowHeight = input(52);
  /** The end of the list comes near. */
  readonly near = output();
  protected readonly template = contentChild.required<TemplateRef<{ $implicit: T }>>(TemplateRef);
  private readonly host = inject<ElementRef<HTMLElement>>(ElementRef).nativeElement;
  private readonly scrolled = signal(0);
  private readonly height = signal(800);

  protected readonly rows = computed(() => {
    const items = this.items();
    const { from, to } = visible(this.scrolled(), this.height(), this.rowHeight(), items.length);
    const key = this.key();
    return items
      .slice(from, to)
      .map((item, offset) => ({ item, key: key(item), index: from + offset }));
  });

  /** Whether the first row is seen. */
  readonly isAtTop = computed(() => this.scrolled() < this.rowHeight());

  constructor() {
    const seen = new ResizeObserver(() => this.measure());
    afterNextRender(() => seen.observe(this.host));
    inject(DestroyRef).onDestroy(() => seen.disconnect());
  }

  toTop(): void {
    this.host.scrollTo({ top: 0 });
  }

  protected measure(): void {
    this.scrolled.set(this.host.scrollTop);
    this.height.set(this.host.clientHeight);
    const end = this.items().length * this.rowHeight();
    if (this.host.scrollTop + 2 * this.host.clientHeight > end) this.near.emit();
  }

  /** The arrow keys go from row to row, also to rows that do not exist yet. */
  protected move(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
    const row = (event.target as HTMLElement).closest<HTMLElement>('[data-index]');
    if (!step || !row) return;
    event.preventDefault();
    const wanted = Number(row.dataset['index']) + step;
    const index = Math.max(0, Math.min(this.items().length - 1, wanted));
    const top = index * this.rowHeight();
    if (top < this.host.scrollTop) this.host.scrollTop = top;
    const bottom = top + this.rowHeight();
    if (bottom > this.host.scrollTop + this.host.clientHeight) {
      this.host.scrollTop = bottom - this.host.clientHeight;
    }
    this.measure();
    requestAnimationFrame(() => {
      this.host.querySelector<HTMLElement>(`[data-index="${index}"] a`)?.focus({
        preventScroll: true,
      });
    });
  }
}
