import {
  afterNextRender,
  ChangeDetectionStrategy,
  Component,
  DestroyRef,
  effect,
  ElementRef,
  inject,
  input,
  viewChild,
} from '@angular/core';
import type uPlot from 'uplot';

import { Theme } from './theme';

/** One line of a chart. */
export interface Series {
  label: string;
  /** Its colour: 1 to 3. */
  tone: 1 | 2 | 3;
  values: readonly (number | null)[];
  /** The value holds until the next one. */
  isStepped?: boolean;
}

/** A time series. The library comes when the first chart is shown. */
@Component({
  selector: 'mr-chart',
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<div #place class="chart" role="img" [attr.aria-label]="label()"></div>
    <div class="legend">
      @for (one of series(); track one.label) {
        <span [class]="'series-' + one.tone"
          ><i></i><b>{{ one.label }}</b></span
        >
      }
    </div>`,
})
export class Chart {
  readonly label = input.required<string>();
  /** Seconds since 1970. */
  readonly times = input.required<readonly number[]>();
  readonly series = input.required<readonly Series[]>();
  readonly height = input(220);
  /** Whether the scale begins at zero, or where the values are. */
  readonly isFromZero = input(true, { alias: 'fromZero' });
  private readonly place = viewChild.required<ElementRef<HTMLElement>>('place');
  private readonly theme = inject(Theme);
  private plot: uPlot | null = null;
  private library: typeof uPlot | null = null;
  private drawnFor = '';

  constructor() {
    const seen = new ResizeObserver(() => this.fit());
    afterNextRender(() => {
      seen.observe(this.place().nativeElement);
      void import('uplot').then(({ default: library }) => {
        this.library = library;
        this.draw();
      });
    });
    effect(() => {
      this.times();
      this.series();
      this.theme.isDark();
      this.draw();
    });
    inject(DestroyRef).onDestroy(() => {
      seen.disconnect();
      this.plot?.destroy();
    });
  }

  private draw(): void {
    if (!this.library) return;
    const data = [this.times(), ...this.series().map((one) => one.values)] as uPlot.AlignedData;
    const shape = JSON.stringify([
      this.series().map((one) => [one.label, one.tone, one.isStepped]),
      this.theme.isDark(),
    ]);
    if (this.plot && shape === this.drawnFor) {
      this.plot.setData(data);
      return;
    }
    this.drawnFor = shape;
    this.plot?.destroy();
    this.plot = new this.library(this.options(this.library), data, this.place().nativeElement);
  }

  private fit(): void {
    const width = this.place().nativeElement.clientWidth;
    if (this.plot && width > 0 && width !== this.plot.width) {
      this.plot.setSize({ width, height: this.height() });
    }
  }

  private range(low: number, high: number): [number, number] {
    if (this.isFromZero()) return [Math.min(0, low), Math.max(high * 1.1, 1)];
    const room = Math.max(1, (high - low) * 0.15);
    return [Math.floor(low - room), Math.ceil(high + room)];
  }

  private options(library: typeof uPlot): uPlot.Options {
    const style = getComputedStyle(this.place().nativeElement);
    const colour = (tone: number): string => probe(this.place().nativeElement, `series-${tone}`);
    const text = probe(this.place().nativeElement, 'faint');
    const grid = probe(this.place().nativeElement, 'chart-grid');
    const font = `12px ${style.fontFamily}`;
    const axis: uPlot.Axis = {
      stroke: text,
      font,
      grid: { stroke: grid, width: 1 },
      ticks: { show: false },
      gap: 8,
    };
    const stepped = library.paths.stepped?.({ align: 1 });
    return {
      width: this.place().nativeElement.clientWidth || 600,
      height: this.height(),
      // The last time is written half beyond the end.
      padding: [8, 28, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: { y: { range: (_, low, high) => this.range(low, high) } },
      axes: [
        {
          ...axis,
          grid: { show: false },
          space: 80,
          size: 34,
          values: (_, ticks) => clockTicks(ticks),
        },
        {
          ...axis,
          size: 52,
          values: (_, ticks) =>
            ticks.map((tick) => (Number.isInteger(tick) ? tick.toLocaleString() : '')),
        },
      ],
      series: [
        {},
        ...this.series().map((one) => ({
          label: one.label,
          stroke: colour(one.tone),
          width: 1.75,
          points: { show: false },
          ...(one.isStepped && stepped ? { paths: stepped } : {}),
        })),
      ],
    };
  }
}

const DAY_S = 86_400;
const byDay = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const byMinute = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
});
const bySecond = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});

/** The times of an axis, as finely as they differ. */
function clockTicks(ticks: readonly number[]): string[] {
  const step = (ticks[1] ?? 0) - (ticks[0] ?? 0);
  const format = step >= DAY_S ? byDay : step >= 60 ? byMinute : bySecond;
  return ticks.map((tick) => format.format(tick * 1000));
}

/** The colour that a class gives: a canvas knows no variables. */
function probe(place: HTMLElement, name: string): string {
  const dot = document.createElement('span');
  dot.className = name;
  place.append(dot);
  const { color } = getComputedStyle(dot);
  dot.remove();
  return color;
}
